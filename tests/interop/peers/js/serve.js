// The test protocols that this peer serves.
import { Reader, drain, write, writeZeros } from './stream-io.js'

export const PERF = '/perf/1.0.0'
export const ECHO = '/test/echo/1.0.0'
export const SINK = '/test/sink/1.0.0'
export const HALF_CLOSE = '/test/halfclose/1.0.0'
export const RESET = '/test/reset/1.0.0'

export const sinks = { bytes: 0, eofs: 0, resets: 0 }

// Every byte comes back; when the other end has closed its side, so do we.
async function echo (stream) {
  const reader = new Reader(stream)
  for (let part; (part = await reader.read()) !== null;) await write(stream, part)
  await stream.close()
}

async function perf (stream) {
  const reader = new Reader(stream)
  const head = await reader.exactly(8)
  await drain(reader)
  await writeZeros(stream, Number(Buffer.from(head).readBigUInt64BE()))
  await stream.close()
}

// Counts what comes, and how it ends. One byte of answer to the first bytes: the stream is in the sink's hands.
async function sink (stream) {
  const reader = new Reader(stream)
  let answered = false
  try {
    for (let part; (part = await reader.read()) !== null;) {
      sinks.bytes += part.length
      if (!answered) await write(stream, Buffer.from('k'))
      answered = true
    }
    sinks.eofs++
    await stream.close()
  } catch {
    sinks.resets++
  }
}

// Reads to the end of the other side, then answers with the SHA-256 of what came, in hex.
async function halfClose (stream) {
  const { sha256 } = await drain(new Reader(stream))
  await write(stream, Buffer.from(sha256))
  await stream.close()
}

async function reset (stream) {
  await new Reader(stream).exactly(1)
  stream.abort(new Error('reset, as asked'))
}

// A handler that fails resets its stream and harms nothing else.
export function guarded (handler) {
  return async (stream, connection) => {
    try {
      await handler(stream, connection)
    } catch (error) {
      stream.abort(error)
    }
  }
}

const many = { maxInboundStreams: 1024, maxOutboundStreams: 1024 }

export async function serve (node) {
  await node.handle(PERF, guarded(perf), many)
  await node.handle(ECHO, guarded(echo), many)
  await node.handle(SINK, guarded(sink), many)
  await node.handle(HALF_CLOSE, guarded(halfClose), many)
  await node.handle(RESET, guarded(reset), many)
}

export const handleEcho = (node, protocol) => node.handle(protocol, guarded(echo), many)
