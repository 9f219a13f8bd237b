// A second implementation of /silktalk/file/1.0.0, from contrib/protocol.md and not from the C code. What it
// receives it keeps in memory: it shows the wire, not durability.
import { createHash, randomBytes } from 'node:crypto'
import { open as openFile, stat } from 'node:fs/promises'
import { Reader, write } from './stream-io.js'
import { frame, readFields, varint } from './silktalk-message.js'

export const PROTOCOL = '/silktalk/file/1.0.0'
const FRAME_MAX = 4096
const STATUSES = ['TAKEN', 'STORED', 'DUPLICATE', 'DENIED', 'TOO_LARGE', 'BUSY', 'INVALID', 'OFFERED']
const ENDS = ['STORED', 'DUPLICATE', 'DENIED', 'TOO_LARGE', 'INVALID', 'BUSY']
const PART = 256 * 1024

const numberField = (number, value) => Buffer.concat([varint(number << 3), varint(value)])
const bytesField = (number, bytes) => Buffer.concat([varint(number << 3 | 2), varint(bytes.length), bytes])

export function encodeOffer (o) {
  const parts = [bytesField(1, o.id), numberField(2, o.sentMs)]
  if (o.contentType !== undefined) parts.push(bytesField(3, Buffer.from(o.contentType)))
  if (o.subject !== undefined) parts.push(bytesField(5, Buffer.from(o.subject)))
  if (o.expiresMs !== undefined) parts.push(numberField(6, o.expiresMs))
  parts.push(bytesField(8, Buffer.from(o.name)), numberField(9, o.size), bytesField(10, o.hash))
  return frame(Buffer.concat(parts))
}

export function encodeAnswer ({ status, offset = 0, receivedMs = 0 }) {
  const parts = []
  if (status !== 'TAKEN') parts.push(numberField(1, STATUSES.indexOf(status)))
  if (offset > 0) parts.push(numberField(2, offset))
  if (receivedMs > 0) parts.push(numberField(3, receivedMs))
  return frame(Buffer.concat(parts))
}

async function readFrame (reader, signal) {
  let length = 0
  for (let shift = 0; shift <= 14; shift += 7) {
    const byte = await reader.exactly(1, signal)
    if (byte === null) throw new Error('the stream ended')
    length += (byte[0] & 0x7f) * 2 ** shift
    if (byte[0] < 0x80) {
      if (length > FRAME_MAX) break
      if (length === 0) return new Map()
      return readFields(Buffer.from(await reader.exactly(length, signal)))
    }
  }
  throw new Error('a frame that is too long')
}

async function readAnswer (reader, signal) {
  const fields = await readFrame(reader, signal)
  return { status: STATUSES[Number(fields.get(1) ?? 0n)] ?? 'BUSY', offset: Number(fields.get(2) ?? 0n) }
}

// ---- sending ------------------------------------------------------------------------------------------

// One attempt. `lie` replaces fields of the offer; `cut` breaks the connection's stream after so many bytes;
// `extra` bytes are sent behind the end. Answers with how it ended and all that the receiver said.
export async function sendFile (connection, c) {
  const signal = AbortSignal.timeout((c.timeout ?? 60) * 1000)
  const file = await openFile(c.path)
  const sum = createHash('sha256')
  for await (const part of file.createReadStream({ autoClose: false, start: 0 })) sum.update(part)
  const offer = {
    id: c.file_id === undefined ? randomBytes(16) : Buffer.from(c.file_id, 'hex'),
    sentMs: Date.now(),
    expiresMs: Date.now() + 3600_000,
    name: c.name,
    size: (await stat(c.path)).size,
    hash: sum.digest(),
    ...(c.lie?.hash && { hash: Buffer.from(c.lie.hash, 'hex') }),
    ...(c.lie?.size !== undefined && { size: c.lie.size })
  }
  const answers = []
  const stream = await connection.newStream(PROTOCOL, { signal, maxOutboundStreams: 64 })
  const reader = new Reader(stream)
  let sent = 0
  try {
    await write(stream, encodeOffer(offer), signal)
    let answer = await readAnswer(reader, signal)
    answers.push(answer)
    while (answer.status === 'OFFERED') answers.push(answer = await readAnswer(reader, signal))
    if (answer.status === 'TAKEN') {
      const size = (await stat(c.path)).size
      for (let at = answer.offset; at < size;) {
        const part = Buffer.alloc(Math.min(PART, size - at))
        await file.read(part, 0, part.length, at)
        await write(stream, part, signal)
        at += part.length
        sent += part.length
        if (c.cut !== undefined && sent >= c.cut) throw new Error('cut, as asked')
      }
      if (c.extra > 0) await write(stream, Buffer.alloc(c.extra), signal)
      while (answer.status === 'TAKEN') answers.push(answer = await readAnswer(reader, signal))
    }
    await stream.close({ signal })
    return { file_id: offer.id.toString('hex'), status: answer.status, answers, sent }
  } catch (error) {
    stream.abort(error)
    return { file_id: offer.id.toString('hex'), status: 'BROKEN', answers, sent, error: error.message }
  } finally {
    await file.close()
  }
}

// ---- receiving ----------------------------------------------------------------------------------------

export class Files {
  received = [] // whole files: name, size, sha256, how many offers it took
  policy = { answer: null, breakAfter: [], tellEvery: 1 << 20 }
  #partial = new Map() // sender + id -> { offer, parts, done }

  constructor (node) {
    this.node = node
  }

  async start () {
    await this.node.handle(PROTOCOL, async (stream, connection) => {
      try {
        await this.#take(stream, connection.remotePeer.toString())
      } catch (error) {
        stream.abort(error)
      }
    }, { maxInboundStreams: 64 })
  }

  async #take (stream, from) {
    const reader = new Reader(stream)
    const fields = await readFrame(reader)
    const id = fields.get(1)
    if (id?.length !== 16 || fields.get(10)?.length !== 32) throw new Error('no offer')
    const key = from + id.toString('hex')
    const offer = { name: fields.get(8).toString(), size: Number(fields.get(9) ?? 0n), hash: Buffer.from(fields.get(10)) }
    const end = async (status) => {
      await write(stream, encodeAnswer({ status, receivedMs: Date.now() }))
      await stream.close()
    }
    if (ENDS.includes(this.policy.answer)) return end(this.policy.answer)
    if (this.received.some((r) => r.key === key)) return end('DUPLICATE')
    const file = this.#partial.get(key) ?? { parts: [], done: 0, offers: 0 }
    this.#partial.set(key, file)
    file.offers++
    if (this.policy.answer === 'OFFERED') {
      await write(stream, encodeAnswer({ status: 'OFFERED' }))
      while (this.policy.answer === 'OFFERED') await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await write(stream, encodeAnswer({ status: 'TAKEN', offset: file.done }))
    const breakAt = this.policy.breakAfter.shift()
    for (let got = 0, told = 0; file.done < offer.size;) {
      const part = await reader.read()
      if (part === null) throw new Error('the stream ended within the file')
      if (part.length > offer.size - file.done) throw new Error('more than was offered')
      file.parts.push(Buffer.from(part))
      file.done += part.length
      got += part.length
      if (breakAt !== undefined && got >= breakAt) throw new Error('broken, as asked')
      if (file.done - told >= this.policy.tellEvery && file.done < offer.size) {
        told = file.done
        await write(stream, encodeAnswer({ status: 'TAKEN', offset: file.done }))
      }
    }
    const sum = createHash('sha256')
    for (const part of file.parts) sum.update(part)
    this.#partial.delete(key)
    const hash = sum.digest()
    if (!hash.equals(offer.hash)) throw new Error('the hash is another')
    this.received.push({ key, from, name: offer.name, size: offer.size, sha256: hash.toString('hex'), offers: file.offers })
    await end('STORED')
  }
}
