// A js-libp2p server for `make bench`: TCP, Noise, Yamux, identify, ping and perf, limits out of the way, nothing
// else. Prints one JSON line when it listens, and ends with its input. With commands on its input it is a client:
// {"addr": multiaddr, "up": bytes, "down": bytes} -> {"seconds": s}.
import { readFileSync, writeFileSync, existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { createLibp2p } from 'libp2p'
import { tcp } from '@libp2p/tcp'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { multiaddr } from '@multiformats/multiaddr'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { Reader, write, writeZeros } from './stream-io.js'

const PERF = '/perf/1.0.0'
const [listen, keyFile] = process.argv.slice(2)

async function loadKey () {
  if (existsSync(keyFile)) return privateKeyFromProtobuf(readFileSync(keyFile))
  const key = await generateKeyPair('Ed25519')
  writeFileSync(keyFile, privateKeyToProtobuf(key), { mode: 0o600 })
  return key
}

async function count (reader) {
  let bytes = 0
  for (let part; (part = await reader.read()) !== null;) bytes += part.length
  return bytes
}

async function perf (stream) {
  try {
    const reader = new Reader(stream)
    const head = await reader.exactly(8)
    await count(reader)
    await writeZeros(stream, Number(Buffer.from(head).readBigUInt64BE()))
    await stream.close()
  } catch (error) {
    stream.abort(error)
  }
}

async function transfer (node, { addr, up, down }) {
  const connection = await node.dial(multiaddr(addr))
  const begin = performance.now()
  const stream = await connection.newStream(PERF)
  const reader = new Reader(stream)
  const head = Buffer.alloc(8)
  head.writeBigUInt64BE(BigInt(down))
  await write(stream, head)
  await writeZeros(stream, up)
  await stream.close()
  const got = await count(reader)
  if (got !== down) throw new Error(`${got} bytes came, not ${down}`)
  return (performance.now() - begin) / 1000
}

const many = 10_000
const node = await createLibp2p({
  privateKey: await loadKey(),
  addresses: { listen: [listen] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionManager: {
    maxConnections: many, inboundConnectionThreshold: many, maxIncomingPendingConnections: many
  },
  services: {
    identify: identify({ maxInboundStreams: many, maxOutboundStreams: many }),
    ping: ping({ maxInboundStreams: 64 })
  }
})
await node.handle(PERF, perf, { maxInboundStreams: 1024, maxOutboundStreams: 1024 })
console.log(JSON.stringify({ peer_id: node.peerId.toString() }))
const lines = createInterface({ input: process.stdin })
lines.on('line', async (line) => console.log(JSON.stringify({ seconds: await transfer(node, JSON.parse(line)) })))
lines.on('close', () => process.exit(0))
