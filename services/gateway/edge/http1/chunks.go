package http1

// Chunks follows a body in chunks to find its end. It takes plain chunks only: no extensions, no trailers.
type Chunks struct {
	expects expectation
	left    int64
	digits  int
}

type expectation uint8

const (
	sizeDigits expectation = iota
	sizeLineFeed
	chunkData
	dataReturn
	dataLineFeed
	lastReturn
	lastLineFeed
	nothing
)

// maxSizeDigits bounds a chunk's length to less than 2^60.
const maxSizeDigits = 15

// Scan looks at the next bytes of a body and gives how many of them belong to it. ended: they are its last.
// ok is false where they are no plain chunks.
func (c *Chunks) Scan(data []byte) (used int, ended, ok bool) {
	for used < len(data) {
		if c.expects == chunkData {
			n := min(c.left, int64(len(data)-used))
			used += int(n)
			if c.left -= n; c.left == 0 {
				c.expects = dataReturn
			}
			continue
		}
		if !c.step(data[used]) {
			return used, false, false
		}
		used++
		if c.expects == nothing {
			return used, true, true
		}
	}
	return used, false, true
}

// Between tells whether the next byte would begin a chunk.
func (c *Chunks) Between() bool { return c.expects == sizeDigits && c.digits == 0 }

// step takes a byte of the framing.
func (c *Chunks) step(b byte) bool {
	switch c.expects {
	case sizeDigits:
		return c.sizeByte(b)
	case sizeLineFeed:
		c.expects, c.digits = chunkData, 0
		if c.left == 0 {
			c.expects = lastReturn
		}
		return b == '\n'
	case dataReturn, lastReturn:
		c.expects++
		return b == '\r'
	case dataLineFeed:
		c.expects = sizeDigits
		return b == '\n'
	case lastLineFeed:
		c.expects = nothing
		return b == '\n'
	}
	return false
}

func (c *Chunks) sizeByte(b byte) bool {
	if b == '\r' {
		c.expects = sizeLineFeed
		return c.digits > 0
	}
	digit, ok := hexDigit(b)
	if !ok || c.digits == maxSizeDigits {
		return false
	}
	c.left = c.left<<4 | int64(digit)
	c.digits++
	return true
}

func hexDigit(b byte) (byte, bool) {
	switch {
	case '0' <= b && b <= '9':
		return b - '0', true
	case 'a' <= b && b <= 'f':
		return b - 'a' + 10, true
	case 'A' <= b && b <= 'F':
		return b - 'A' + 10, true
	}
	return 0, false
}
