// /perf/1.0.0, both ends: every stream is a task of its own.
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::core::{Endpoint, Multiaddr, transport::PortUse};
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, Stream, StreamProtocol, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::PeerId;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::sync::oneshot;

const PERF: StreamProtocol = StreamProtocol::new("/perf/1.0.0");
const PIECE: usize = 64 << 10;

/// A transfer as a client.
#[derive(Debug)]
pub struct Job {
    up: u64,
    down: u64,
    begin: Instant,
    answer: oneshot::Sender<f64>,
}

impl Job {
    pub fn new(up: u64, down: u64) -> (Job, oneshot::Receiver<f64>) {
        let (answer, done) = oneshot::channel();
        (Job { up, down, begin: Instant::now(), answer }, done)
    }
}

async fn send_zeros(stream: &mut Stream, mut left: u64) -> io::Result<()> {
    let zeros = vec![0u8; PIECE];
    while left > 0 {
        left -= stream.write(&zeros[..left.min(PIECE as u64) as usize]).await? as u64;
    }
    Ok(())
}

async fn count(stream: &mut Stream) -> io::Result<u64> {
    let (mut piece, mut got) = (vec![0u8; PIECE], 0);
    loop {
        match stream.read(&mut piece).await? {
            0 => return Ok(got),
            n => got += n as u64,
        }
    }
}

async fn serve(mut stream: Stream) -> io::Result<()> {
    let mut head = [0u8; 8];
    stream.read_exact(&mut head).await?;
    count(&mut stream).await?;
    send_zeros(&mut stream, u64::from_be_bytes(head)).await?;
    stream.close().await
}

async fn transfer(mut stream: Stream, job: Job) -> io::Result<()> {
    stream.write_all(&job.down.to_be_bytes()).await?;
    send_zeros(&mut stream, job.up).await?;
    stream.close().await?;
    if count(&mut stream).await? == job.down {
        let _ = job.answer.send(job.begin.elapsed().as_secs_f64());
    }
    Ok(())
}

#[derive(Default)]
pub struct Behaviour {
    jobs: VecDeque<(PeerId, Job)>,
    waker: Option<Waker>,
}

impl Behaviour {
    /// `peer` is connected. An error shows as an answer that never comes.
    pub fn begin(&mut self, peer: PeerId, job: Job) {
        self.jobs.push_back((peer, job));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self, _: ConnectionId, _: PeerId, _: &Multiaddr, _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn handle_established_outbound_connection(
        &mut self, _: ConnectionId, _: PeerId, _: &Multiaddr, _: Endpoint, _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some((peer_id, event)) = self.jobs.pop_front() {
            return Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::Any, event });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[derive(Default)]
pub struct Handler {
    jobs: VecDeque<Job>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Job;
    type ToBehaviour = Infallible;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Job;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PERF), ())
    }

    fn on_behaviour_event(&mut self, job: Job) {
        self.jobs.push_back(job);
    }

    fn poll(
        &mut self, _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Job, Self::ToBehaviour>> {
        match self.jobs.pop_front() {
            Some(job) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(ReadyUpgrade::new(PERF), job),
            }),
            None => Poll::Pending,
        }
    }

    fn on_connection_event(
        &mut self, event: ConnectionEvent<Self::InboundProtocol, Self::OutboundProtocol, (), Job>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                tokio::spawn(serve(protocol));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                tokio::spawn(transfer(protocol, info));
            }
            _ => {}
        }
    }
}
