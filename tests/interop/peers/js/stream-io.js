// Reading and writing libp2p streams. Own reader: when data and the end of the other side come with the protocol
// negotiation, the library has told of the end already when the handler starts, and its data is still to come;
// its async iterator then waits for an end that is not told again.
import { createHash, randomBytes } from 'node:crypto'

export class Reader {
  #queue = []
  #rest = new Uint8Array(0)
  #ended = false
  #error = null
  #wake = null

  constructor (stream) {
    const end = (error) => {
      this.#ended = true
      this.#error ??= error ?? null
      this.#wake?.()
    }
    stream.addEventListener('close', (e) => end(e.error))
    stream.addEventListener('end', () => end())
    stream.addEventListener('message', (e) => {
      this.#queue.push(e.data.subarray())
      if (stream.readableEnded && stream.readBufferLength === 0) this.#ended = true
      this.#wake?.()
    })
    if (stream.status === 'reset' || stream.status === 'aborted') end(new Error(`stream ${stream.status}`))
    else if ((stream.readableEnded || stream.status === 'closed') && stream.readBufferLength === 0) end()
  }

  // The next piece, or null at the end; throws when the stream was reset or signal fires.
  async read (signal) {
    while (this.#queue.length === 0) {
      if (this.#error !== null) throw this.#error
      if (this.#ended) return null
      signal?.throwIfAborted()
      await new Promise((resolve) => {
        this.#wake = resolve
        signal?.addEventListener('abort', resolve)
      })
      signal?.removeEventListener('abort', this.#wake)
      this.#wake = null
    }
    return this.#queue.shift()
  }

  // Exactly n bytes; null if the stream ends cleanly before the first of them; throws within.
  async exactly (n, signal) {
    const parts = [this.#rest]
    let have = this.#rest.length
    while (have < n) {
      const part = await this.read(signal)
      if (part === null) {
        if (have === 0) return null
        throw new Error('the stream ended within a frame')
      }
      parts.push(part)
      have += part.length
    }
    const all = parts.length === 1 ? parts[0] : Buffer.concat(parts)
    this.#rest = all.subarray(n)
    return all.subarray(0, n)
  }
}

export async function write (stream, bytes, signal) {
  if (!stream.send(bytes)) await stream.onDrain({ signal })
}

export async function writeZeros (stream, n, signal) {
  const zeros = new Uint8Array(64 * 1024)
  for (; n > 0; n -= zeros.length) await write(stream, n < zeros.length ? zeros.subarray(0, n) : zeros, signal)
}

// Random bytes that cost little to make: one random block, its first words counted up. Returns their SHA-256.
export async function writeRandom (stream, n, signal) {
  const sum = createHash('sha256')
  const block = randomBytes(64 * 1024)
  for (let i = 0; n > 0; i++, n -= block.length) {
    const part = Buffer.from(n < block.length ? block.subarray(0, n) : block)
    if (part.length >= 4) part.writeUInt32BE(i)
    sum.update(part)
    await write(stream, part, signal)
  }
  await stream.close({ signal })
  return sum.digest('hex')
}

// Reads to the end of the other side: how many bytes, and their SHA-256.
export async function drain (reader, signal) {
  const sum = createHash('sha256')
  let bytes = 0
  for (let part; (part = await reader.read(signal)) !== null;) {
    bytes += part.length
    sum.update(part)
  }
  return { bytes, sha256: sum.digest('hex') }
}
