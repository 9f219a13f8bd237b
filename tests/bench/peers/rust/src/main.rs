// A rust-libp2p server for `make bench`: TCP, Noise, Yamux, identify, ping and perf, limits out of the way, nothing
// else. Prints one JSON line when it listens, and ends with its input. With commands on its input it is a client:
// {"addr": multiaddr, "up": bytes, "down": bytes} -> {"seconds": s}.
mod perf;

use futures::StreamExt;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, identify, identity, noise, ping, tcp, yamux};
use std::collections::HashSet;
use std::error::Error;
use std::time::Duration;
use std::{env, fs};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::oneshot;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(NetworkBehaviour)]
struct Services {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    perf: perf::Behaviour,
}

fn load_key(file: &str) -> Result<identity::Keypair, Box<dyn Error>> {
    if let Ok(raw) = fs::read(file) {
        return Ok(identity::Keypair::from_protobuf_encoding(&raw)?);
    }
    let key = identity::Keypair::generate_ed25519();
    fs::write(file, key.to_protobuf_encoding()?)?;
    Ok(key)
}

fn new_swarm(key: identity::Keypair) -> Result<Swarm<Services>, Box<dyn Error>> {
    Ok(SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|key| Services {
            identify: identify::Behaviour::new(identify::Config::new("bench/1.0.0".into(), key.public())),
            // The others answer pings and send none.
            ping: ping::Behaviour::new(ping::Config::new().with_interval(DAY)),
            perf: perf::Behaviour::default(),
        })?
        .with_swarm_config(|c| {
            c.with_idle_connection_timeout(DAY).with_max_negotiating_inbound_streams(4096)
        })
        .build())
}

fn number(line: &str, name: &str) -> u64 {
    let rest = line.split(&format!("\"{name}\":")).nth(1).unwrap_or("0").trim_start();
    rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn address(line: &str) -> Result<(Multiaddr, PeerId), Box<dyn Error>> {
    let text = line.split("\"addr\":").nth(1).and_then(|r| r.split('"').nth(1)).ok_or("no addr")?;
    let mut addr: Multiaddr = text.parse()?;
    match addr.pop() {
        Some(Protocol::P2p(peer)) => Ok((addr, peer)),
        _ => Err("addr has no /p2p/".into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().collect();
    let mut swarm = new_swarm(load_key(&args[2])?)?;
    swarm.listen_on(args[1].parse()?)?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut connected = HashSet::new();
    let mut waiting: Option<(PeerId, perf::Job)> = None; // for its connection
    let mut answer: Option<oneshot::Receiver<f64>> = None;
    loop {
        tokio::select! {
            event = swarm.select_next_some() => match event {
                SwarmEvent::NewListenAddr { .. } => println!("{{\"peer_id\": \"{}\"}}", swarm.local_peer_id()),
                SwarmEvent::ConnectionEstablished { peer_id, .. } => { connected.insert(peer_id); }
                SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => { connected.remove(&peer_id); }
                _ => {}
            },
            line = lines.next_line(), if answer.is_none() => {
                let Some(line) = line? else { return Ok(()) };
                let (addr, peer) = address(&line)?;
                if !connected.contains(&peer) {
                    swarm.dial(addr.with(Protocol::P2p(peer)))?;
                }
                let (job, done) = perf::Job::new(number(&line, "up"), number(&line, "down"));
                waiting = Some((peer, job));
                answer = Some(done);
            }
            seconds = async { answer.as_mut().unwrap().await }, if answer.is_some() => {
                println!("{{\"seconds\": {}}}", seconds?);
                answer = None;
            }
        }
        if let Some((peer, job)) = waiting.take() {
            if connected.contains(&peer) {
                swarm.behaviour_mut().perf.begin(peer, job);
            } else {
                waiting = Some((peer, job));
            }
        }
    }
}
