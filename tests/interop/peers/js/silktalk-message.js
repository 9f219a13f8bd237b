// A second implementation of /silktalk/message/1.0.0, from the design and not from the C code, so that the
// tests compare two readings of one page. Everything is kept in memory: it shows the wire, not durability.
//
//   Frame    { 1: Message | 2: Receipt }, after its length as an unsigned varint, at most 4 MiB
//   Message  { 1: id (16 bytes)  2: sent_ms  3: content_type  4: body  5: subject  6: expires_ms  7: reply_to }
//   Receipt  { 1: id  2: status  3: received_ms }
import { randomBytes, createHash } from 'node:crypto'
import { Reader, write } from './stream-io.js'

export const PROTOCOL = '/silktalk/message/1.0.0'
export const FRAME_MAX = 4 * 1024 * 1024
export const DEFAULT_TYPE = 'text/plain; charset=utf-8'
export const STATUS = { STORED: 1, DUPLICATE: 2, DENIED: 3, TOO_LARGE: 4, BUSY: 5, INVALID: 6 }
const NAMES = Object.fromEntries(Object.entries(STATUS).map(([name, number]) => [number, name]))
const DAY_MS = 24 * 3600 * 1000
const RETRY_MIN_MS = 100
const RETRY_MAX_MS = 5000

// ---- protobuf, as much of it as is needed -------------------------------------------------------------

export function varint (n) {
  const out = []
  for (n = BigInt(n); n >= 0x80n; n >>= 7n) out.push(Number(n & 0x7fn) | 0x80)
  out.push(Number(n))
  return Buffer.from(out)
}

const numberField = (number, value) => Buffer.concat([varint(number << 3), varint(value)])
const bytesField = (number, bytes) => Buffer.concat([varint(number << 3 | 2), varint(bytes.length), bytes])

// Where the varint at `at` ends, and its value as a BigInt of 64 bits.
function readVarint (buf, at) {
  let value = 0n
  for (let i = 0; i < 10; i++) {
    if (at + i >= buf.length) throw new Error('varint cut short')
    const byte = buf[at + i]
    value |= BigInt(byte & 0x7f) << BigInt(7 * i)
    if (byte < 0x80) {
      if (value >= 1n << 64n) throw new Error('varint beyond 64 bits')
      return [at + i + 1, value]
    }
  }
  throw new Error('varint too long')
}

// field number -> the last value seen: BigInt for a varint, Buffer for bytes. Other wire types are skipped.
export function readFields (buf) {
  const fields = new Map()
  for (let at = 0; at < buf.length;) {
    let tag, value
    [at, tag] = readVarint(buf, at)
    const number = Number(tag >> 3n)
    if (number === 0) throw new Error('field number 0')
    switch (Number(tag & 7n)) {
      case 0:
        [at, value] = readVarint(buf, at)
        fields.set(number, value)
        break
      case 2:
        [at, value] = readVarint(buf, at)
        if (value > BigInt(buf.length - at)) throw new Error('a field runs past its message')
        fields.set(number, buf.subarray(at, at += Number(value)))
        break
      case 1: at += 8; break
      case 5: at += 4; break
      default: throw new Error('unknown wire type')
    }
    if (at > buf.length) throw new Error('a field runs past its message')
  }
  return fields
}

// ---- frames -------------------------------------------------------------------------------------------

export function encodeMessage (m) {
  const parts = [bytesField(1, m.id), numberField(2, m.sentMs)]
  if (m.contentType !== undefined) parts.push(bytesField(3, Buffer.from(m.contentType)))
  parts.push(bytesField(4, m.body))
  if (m.subject !== undefined) parts.push(bytesField(5, Buffer.from(m.subject)))
  if (m.expiresMs !== undefined) parts.push(numberField(6, m.expiresMs))
  if (m.replyTo !== undefined) parts.push(bytesField(7, m.replyTo))
  return frame(bytesField(1, Buffer.concat(parts)))
}

// status null: the field is left out, which the other end has to take for BUSY
export function encodeReceipt (id, status, receivedMs) {
  const parts = [bytesField(1, id)]
  if (status !== null) parts.push(numberField(2, status))
  parts.push(numberField(3, receivedMs))
  return frame(bytesField(2, Buffer.concat(parts)))
}

export const frame = (bytes) => Buffer.concat([varint(bytes.length), bytes])

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const number = (fields, n) => typeof fields.get(n) === 'bigint' ? Number(fields.get(n)) : 0
const bytes = (fields, n) => Buffer.isBuffer(fields.get(n)) ? fields.get(n) : undefined

// { message } or { receipt }, {} for a kind of frame that a later version may bring. Throws what is malformed.
// A message that can be answered, as its id is one, but breaks a rule has `invalid` set.
export function decodeFrame (buf) {
  const fields = readFields(buf)
  const [message, receipt] = [bytes(fields, 1), bytes(fields, 2)]
  if (message !== undefined && receipt !== undefined) throw new Error('a frame of both kinds')
  if (message !== undefined) return { message: decodeMessage(readFields(message)) }
  if (receipt !== undefined) return { receipt: decodeReceipt(readFields(receipt)) }
  return {}
}

function idOf (fields) {
  const id = bytes(fields, 1)
  if (id?.length !== 16) throw new Error('an id is 16 bytes')
  return Buffer.from(id)
}

function decodeMessage (f) {
  const m = { id: idOf(f), sentMs: number(f, 2), contentType: DEFAULT_TYPE, body: Buffer.from(bytes(f, 4) ?? []) }
  if (f.has(6)) m.expiresMs = number(f, 6)
  try {
    if (bytes(f, 3)?.length > 0) m.contentType = utf8.decode(bytes(f, 3))
    if (f.has(5)) m.subject = utf8.decode(bytes(f, 5))
    if (f.has(7)) m.replyTo = Buffer.from(bytes(f, 7))
    if (bytes(f, 5)?.length > 256) throw new Error('the subject is too long')
    if (m.replyTo !== undefined && m.replyTo.length !== 16) throw new Error('reply_to is an id')
    if (m.sentMs === 0) throw new Error('when was it sent')
  } catch (error) {
    m.invalid = error.message
  }
  return m
}

function decodeReceipt (f) {
  return { id: idOf(f), status: NAMES[number(f, 2)] ?? 'BUSY', receivedMs: number(f, 3) }
}

// The next frame's bytes, or null when the stream has ended between two frames.
export async function readFrame (reader, signal) {
  let length = 0
  for (let shift = 0; ; shift += 7) {
    const byte = await reader.exactly(1, signal)
    if (byte === null) {
      if (shift === 0) return null
      throw new Error('the stream ended within a length')
    }
    length += (byte[0] & 0x7f) * 2 ** shift
    if (length > FRAME_MAX || shift > 21) throw new Error('frame too long')
    if (byte[0] < 0x80) {
      if (byte[0] === 0 && shift > 0) throw new Error('overlong length')
      break
    }
  }
  const body = length === 0 ? Buffer.alloc(0) : await reader.exactly(length, signal)
  if (body === null) throw new Error('the stream ended before a frame')
  return Buffer.from(body)
}

// ---- the node's side ----------------------------------------------------------------------------------

export class Messages {
  maxBody = 1024 * 1024
  inbox = [] // stored messages, in the order they came
  log = [] // every message that came, with the answer it got, and every bad frame
  #known = new Map() // sender + id -> the message in the inbox
  #forced = [] // answers to give instead of storing
  #outboxes = new Map() // peer id -> Outbox

  constructor (node) {
    this.node = node
  }

  async start () {
    await this.node.handle(PROTOCOL, (stream, connection) => this.#serve(stream, connection.remotePeer.toString()),
      { maxInboundStreams: 64, maxOutboundStreams: 64 })
  }

  // The next `count` messages get this answer: a status, NO_STATUS, UNKNOWN (99), NONE, or RESET of the stream.
  answerNext (answer, count) {
    for (let i = 0; i < count; i++) this.#forced.push(answer)
  }

  // Resolves when the message has its final receipt, or has expired.
  send (peer, message) {
    const to = peer.toString()
    if (!this.#outboxes.has(to)) this.#outboxes.set(to, new Outbox(this.node, peer, (r) => this.#receive(r, to)))
    return this.#outboxes.get(to).add({
      id: randomBytes(16), sentMs: Date.now(), expiresMs: Date.now() + 7 * DAY_MS, body: Buffer.alloc(0), ...message
    })
  }

  outbox () {
    return [...this.#outboxes].flatMap(([peer, outbox]) => outbox.waiting.map((entry) =>
      ({ peer, message_id: entry.message.id.toString('hex'), tries: entry.tries })))
  }

  // A stream that the other end opened: its messages come on it; receipts of ours don't, as we send on our own.
  async #serve (stream, from) {
    const reader = new Reader(stream)
    const on = { stream, busy: false }
    try {
      for (let raw; (raw = await readFrame(reader)) !== null;) {
        const { message } = decodeFrame(raw)
        if (message !== undefined) await this.#receive({ message, on }, from)
      }
      await stream.close()
    } catch (error) {
      this.log.push({ from, error: error.message })
      stream.abort(error)
    }
  }

  async #receive ({ message, on }, from) {
    let answer = on.busy ? 'BUSY' : this.#forced.shift() ?? this.#store(message, from) // busy once, busy for good
    if (answer === 'BUSY' || answer === 'NO_STATUS' || answer === 'UNKNOWN') on.busy = true
    this.log.push({ from, message_id: message.id.toString('hex'), answer })
    if (answer === 'NONE') return
    if (answer === 'RESET') throw new Error('reset, as asked')
    const status = answer === 'NO_STATUS' ? null : answer === 'UNKNOWN' ? 99 : STATUS[answer]
    await write(on.stream, encodeReceipt(message.id, status, Date.now()))
  }

  #store (message, from) {
    if (message.invalid !== undefined) return 'INVALID'
    if (message.body.length > this.maxBody) return 'TOO_LARGE'
    const key = from + message.id.toString('hex')
    if (this.#known.has(key)) {
      this.#known.get(key).copies++
      return 'DUPLICATE'
    }
    const kept = { ...message, from, receivedMs: Date.now(), copies: 1 }
    this.#known.set(key, kept)
    this.inbox.push(kept)
    return 'STORED'
  }
}

// What waits for one peer. One stream at a time, the oldest first; everything is sent at once and receipts may
// come in any order. A BUSY, or a broken stream, means: wait, open a new one, start again from the oldest.
class Outbox {
  waiting = []
  #running = false
  #retryMs = RETRY_MIN_MS

  constructor (node, peer, receive) {
    Object.assign(this, { node, peer, receive })
  }

  add (message) {
    return new Promise((resolve) => {
      this.waiting.push({ message, tries: 0, begin: performance.now(), resolve })
      if (!this.#running) this.#run()
    })
  }

  async #run () {
    this.#running = true
    while (this.waiting.length > 0) {
      this.#expire()
      const before = this.waiting.length
      try {
        await this.#round()
      } catch { /* the peer is away or broke the stream: the messages are still here */ }
      this.#retryMs = this.waiting.length < before ? RETRY_MIN_MS : Math.min(this.#retryMs * 2, RETRY_MAX_MS)
      if (this.waiting.length === 0) break
      await new Promise((resolve) => setTimeout(resolve, this.#retryMs * (0.75 + Math.random() / 2)))
    }
    this.#running = false
  }

  // Messages that are too old fail, by our own clock alone.
  #expire () {
    for (const entry of [...this.waiting]) {
      if (entry.message.expiresMs <= Date.now()) this.#finish(entry, { status: 'EXPIRED', receivedMs: 0 })
    }
  }

  #finish (entry, receipt) {
    this.waiting.splice(this.waiting.indexOf(entry), 1)
    entry.resolve({
      message_id: entry.message.id.toString('hex'),
      status: receipt.status,
      received_ms: receipt.receivedMs,
      tries: entry.tries,
      ms: performance.now() - entry.begin
    })
  }

  // One stream, as long as it goes well and there is something to send.
  async #round () {
    if (this.waiting.length === 0) return
    const signal = AbortSignal.timeout(30_000)
    const stream = await this.node.getConnections(this.peer)[0].newStream(PROTOCOL, { signal, maxOutboundStreams: 64 })
    const reader = new Reader(stream)
    const on = { stream, busy: false }
    const sent = new Set()
    try {
      while (this.waiting.length > 0) {
        for (const entry of this.waiting.filter((e) => !sent.has(e))) {
          entry.tries++
          sent.add(entry)
          await write(stream, encodeMessage(entry.message), signal)
        }
        const raw = await readFrame(reader, signal)
        if (raw === null) throw new Error('the stream ended before its receipts')
        const { receipt, message } = decodeFrame(raw)
        if (message !== undefined) await this.receive({ message, on }) // the other end may use our stream too
        if (receipt === undefined) continue
        const entry = this.waiting.find((e) => e.message.id.equals(receipt.id))
        if (entry === undefined) continue
        if (receipt.status === 'BUSY') throw new Error('busy')
        this.#finish(entry, receipt) // STORED, DUPLICATE, or one of the final failures
      }
      await stream.close({ signal })
    } catch (error) {
      stream.abort(error)
      throw error
    }
  }
}

// ---- for the tests ------------------------------------------------------------------------------------

export function describe (m) {
  const out = {
    message_id: m.id.toString('hex'),
    from: m.from,
    sent_ms: m.sentMs,
    received_ms: m.receivedMs,
    content_type: m.contentType,
    subject: m.subject ?? null,
    expires_ms: m.expiresMs ?? null,
    reply_to: m.replyTo?.toString('hex') ?? null,
    bytes: m.body.length,
    sha256: createHash('sha256').update(m.body).digest('hex'),
    copies: m.copies
  }
  if (m.body.length <= 1024) out.text = m.body.toString()
  return out
}

// Any bytes on a stream of ours, good or bad; what frames come back, and how it ends.
export async function raw (connection, data, { wanted, halfClose, timeoutMs }) {
  const signal = AbortSignal.timeout(timeoutMs)
  const stream = await connection.newStream(PROTOCOL, { signal, maxOutboundStreams: 64 })
  const reader = new Reader(stream)
  const frames = []
  let end = 'enough'
  try {
    await write(stream, data, signal)
    if (halfClose) await stream.close({ signal })
    while (frames.length < wanted) {
      const got = await readFrame(reader, signal)
      if (got === null) {
        end = 'eof'
        break
      }
      const { receipt, message } = decodeFrame(got)
      if (receipt !== undefined) {
        frames.push({ message_id: receipt.id.toString('hex'), status: receipt.status, received_ms: receipt.receivedMs })
      } else if (message !== undefined) frames.push({ message: message.id.toString('hex') })
    }
  } catch (error) {
    end = signal.aborted ? 'timeout' : stream.status === 'reset' ? 'reset' : `failed: ${error.message}`
  }
  stream.abort(new Error('done'))
  return { frames, end }
}
