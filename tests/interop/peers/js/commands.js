// What the tests may ask of this peer. Each command: (peer, its JSON) -> the answer's fields.
import { createHash, randomBytes } from 'node:crypto'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { ECHO, HALF_CLOSE, PERF, RESET, SINK, handleEcho, sinks } from './serve.js'
import { Reader, drain, write, writeRandom, writeZeros } from './stream-io.js'
import { sendFile } from './silktalk-file.js'
import { describe, raw as rawMessage } from './silktalk-message.js'

const limit = (c, seconds = 60) => AbortSignal.timeout((c.timeout ?? seconds) * 1000)

function connectionTo ({ node }, c) {
  const [connection] = node.getConnections(peerIdFromString(c.peer))
  if (connection === undefined) throw new Error('not connected')
  return connection
}

function open (peer, c, protocol, signal) {
  return connectionTo(peer, c).newStream(c.protocol ?? protocol, { signal, maxOutboundStreams: 1024 })
}

async function waitFor (what, signal, done) {
  while (!done()) {
    if (signal.aborted) throw new Error(`waited in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

// A stream for one exchange: reset if the exchange fails.
async function using (stream, exchange) {
  try {
    return await exchange(stream)
  } catch (error) {
    stream.abort(error)
    throw error
  }
}

const id = async ({ node }) => ({
  peer_id: node.peerId.toString(), addrs: node.getMultiaddrs().map(String), key_type: node.peerId.type.toLowerCase()
})

async function connect ({ node }, c) {
  const connection = await node.dial(multiaddr(c.addr), { signal: limit(c) })
  return { peer_id: connection.remotePeer.toString() }
}

async function disconnect ({ node }, c) {
  await node.hangUp(peerIdFromString(c.peer))
}

async function peers ({ node }) {
  const items = node.getConnections().map((connection) => ({
    peer_id: connection.remotePeer.toString(),
    addr: connection.remoteAddr.toString(),
    direction: connection.direction,
    streams: connection.streams.length,
    security: connection.encryption,
    muxer: connection.multiplexer,
    key_type: connection.remotePeer.type.toLowerCase()
  }))
  return { items }
}

const connected = (peer, c) => peer.node.getConnections(peerIdFromString(c.peer)).length > 0

async function waitPeer (peer, c) {
  await waitFor('peer connected', limit(c), () => connected(peer, c))
}

async function waitGone (peer, c) {
  await waitFor('peer gone', limit(c), () => !connected(peer, c))
}

// What the other end's identify told, once it has; with `fresh` it is asked once more.
async function identify (peer, c) {
  if (c.fresh) await peer.node.services.identify.identify(connectionTo(peer, c), { signal: limit(c) })
  await waitFor('identify', limit(c), () => peer.identified.has(c.peer))
  const told = peer.identified.get(c.peer)
  const record = told.signedPeerRecord
  return {
    agent: told.agentVersion,
    protocol_version: told.protocolVersion,
    listen_addrs: told.listenAddrs.map(String),
    protocols: [...told.protocols].sort(),
    observed: told.observedAddr?.toString(),
    signed_record: record !== undefined,
    record_addrs: record?.addresses.map(String),
    record_seq: record === undefined ? undefined : Number(record.seq),
    key_type: connectionTo(peer, c).remotePeer.type.toLowerCase(),
    protocol_changes: peer.pushes.get(c.peer) ?? 0
  }
}

async function ping (peer, c) {
  const rtts = []
  for (let i = 0; i < (c.count ?? 1); i++) {
    const begin = performance.now()
    await peer.node.services.ping.ping(peerIdFromString(c.peer), { signal: limit(c) })
    rtts.push(performance.now() - begin)
  }
  return { rtts }
}

// All the streams that a command asks for, open before the first byte of data goes; one exchange on each.
async function together (peer, c, protocol, signal, exchange) {
  const streams = []
  for (let i = 0; i < (c.streams ?? 1); i++) streams.push(await open(peer, c, protocol, signal))
  const begin = performance.now()
  const results = await Promise.all(streams.map((stream) => using(stream, exchange)))
  return { results, streams: streams.length, seconds: (performance.now() - begin) / 1000 }
}

async function perf (peer, c) {
  const signal = limit(c)
  const [up, down] = [c.up ?? 0, c.down ?? 0]
  const { streams, seconds } = await together(peer, c, PERF, signal, async (stream) => {
    const reader = new Reader(stream)
    const head = Buffer.alloc(8)
    head.writeBigUInt64BE(BigInt(down))
    await write(stream, head, signal)
    await writeZeros(stream, up, signal)
    await stream.close({ signal })
    const { bytes } = await drain(reader, signal)
    if (bytes !== down) throw new Error(`asked for ${down} bytes, got ${bytes}`)
  })
  return { streams, up, down, seconds }
}

async function echo (peer, c) {
  const signal = limit(c)
  const { results, streams, seconds } = await together(peer, c, ECHO, signal, async (stream) => {
    const reader = new Reader(stream)
    const [sent, back] = await Promise.all([writeRandom(stream, c.bytes, signal), drain(reader, signal)])
    if (back.bytes !== c.bytes || back.sha256 !== sent) {
      throw new Error(`sent ${c.bytes} bytes, ${back.bytes} came back, or other ones`)
    }
    return sent
  })
  return { streams, bytes: c.bytes * streams, seconds, sha256: results[0] }
}

async function halfclose (peer, c) {
  const signal = limit(c)
  return using(await open(peer, c, HALF_CLOSE, signal), async (stream) => {
    const reader = new Reader(stream)
    const sent = await writeRandom(stream, c.bytes, signal)
    const got = []
    for (let part; (part = await reader.read(signal)) !== null;) got.push(part)
    const answer = Buffer.concat(got).toString()
    if (answer !== sent) throw new Error(`expected ${sent}, got ${answer}`)
    return { sha256: answer }
  })
}

// Without `ours`: the other end resets after our byte. With it: we reset a stream to its sink.
async function reset (peer, c) {
  const signal = limit(c)
  if (c.ours) {
    const stream = await open(peer, c, SINK, signal)
    const reader = new Reader(stream)
    await write(stream, Buffer.alloc(Math.max(c.bytes ?? 1, 1)), signal)
    await reader.exactly(1, signal)
    stream.abort(new Error('reset, as asked'))
    return { reset: true }
  }
  const stream = await open(peer, c, RESET, signal)
  const reader = new Reader(stream)
  await write(stream, Buffer.from('x'), signal)
  try {
    while (await reader.read(signal) !== null);
  } catch (error) {
    if (stream.status === 'reset') return { reset: true }
    throw error
  }
  throw new Error('expected a reset, got the end of the stream')
}

// Any bytes to any protocol, and what came back: for what no well-behaved peer sends.
async function raw (peer, c) {
  const signal = limit(c, 5)
  const stream = await open(peer, c, undefined, signal)
  const reader = new Reader(stream)
  const got = []
  let end = 'eof'
  try {
    await write(stream, Buffer.from(c.hex ?? '', 'hex'), signal)
    if (c.half_close) await stream.close({ signal })
    for (let part; (part = await reader.read(signal)) !== null;) got.push(part)
  } catch {
    end = signal.aborted ? 'timeout' : 'reset'
  }
  stream.abort(new Error('done'))
  return { hex: Buffer.concat(got).toString('hex'), end }
}

async function handle ({ node }, c) {
  await handleEcho(node, c.protocol)
}

async function unhandle ({ node }, c) {
  await node.unhandle(c.protocol)
}

// ---- messages -----------------------------------------------------------------------------------------

function messageOf (c) {
  const m = {}
  if (c.bytes !== undefined) m.body = randomBytes(c.bytes)
  if (c.body !== undefined) m.body = Buffer.from(c.body)
  if (c.message_id !== undefined) m.id = Buffer.from(c.message_id, 'hex')
  if (c.subject !== undefined) m.subject = c.subject
  if (c.content_type !== undefined) m.contentType = c.content_type
  if (c.reply_to !== undefined) m.replyTo = Buffer.from(c.reply_to, 'hex')
  if (c.expires_in_ms !== undefined) m.expiresMs = Date.now() + c.expires_in_ms
  return m
}

async function messageSend ({ messages }, c) {
  const m = messageOf(c)
  const late = (resolve, reject) => setTimeout(reject, (c.timeout ?? 60) * 1000, new Error('no final receipt in time'))
  const receipt = await Promise.race([messages.send(peerIdFromString(c.peer), m), new Promise(late)])
  return { ...receipt, sha256: createHash('sha256').update(m.body ?? '').digest('hex') }
}

// Many at once: they go out in one burst on one stream. The statuses in the order of sending.
async function messageBurst ({ messages }, c) {
  const all = []
  for (let i = 0; i < c.count; i++) {
    all.push(messages.send(peerIdFromString(c.peer), { body: Buffer.from(`${c.body ?? 'message'} ${i}`) }))
  }
  const receipts = await Promise.all(all)
  return { message_ids: receipts.map((r) => r.message_id), statuses: receipts.map((r) => r.status) }
}

async function messageList ({ messages }, c) {
  const items = messages.inbox.filter((m) => c.from === undefined || m.from === c.from)
  return { items: items.map(describe) }
}

async function messageExpect (peer, c) {
  const count = c.count ?? 1
  const held = () => peer.messages.inbox.filter((m) => c.from === undefined || m.from === c.from).length
  await waitFor(`${count} messages, there are ${held()}`, limit(c), () => held() >= count)
  return messageList(peer, c)
}

async function messageClear ({ messages }) {
  messages.inbox.length = 0
  messages.log.length = 0
}

async function messageAnswer ({ messages }, c) {
  messages.answerNext(c.answer, c.count ?? 1)
}

async function messageLimit ({ messages }, c) {
  messages.maxBody = c.max_body
}

const messageRaw = async (peer, c) => rawMessage(connectionTo(peer, c), Buffer.from(c.hex ?? '', 'hex'),
  { wanted: c.count ?? 1, halfClose: c.half_close ?? false, timeoutMs: (c.timeout ?? 5) * 1000 })

export const commands = {
  id,
  connect,
  disconnect,
  peers,
  wait_peer: waitPeer,
  wait_gone: waitGone,
  identify,
  ping,
  perf,
  echo,
  halfclose,
  reset,
  raw,
  sinks: async () => ({ ...sinks }),
  handle,
  unhandle,
  message_send: messageSend,
  message_burst: messageBurst,
  message_list: messageList,
  message_expect: messageExpect,
  message_clear: messageClear,
  message_answer: messageAnswer,
  message_limit: messageLimit,
  message_log: async ({ messages }) => ({ items: messages.log }),
  message_outbox: async ({ messages }) => ({ items: messages.outbox() }),
  message_raw: messageRaw,
  file_send: async (peer, c) => sendFile(connectionTo(peer, c), c),
  file_received: async ({ files }) => ({ items: files.received }),
  file_policy: async ({ files }, c) => {
    files.policy = { answer: c.answer ?? null, breakAfter: c.break_after ?? [], tellEvery: 1 << 20 }
  }
}
