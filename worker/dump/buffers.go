package dump

// buffers are buffers to be used again. Any goroutine may take and put.
type buffers chan []byte

// take returns an empty buffer: one that was used before, or else a new one with room
// for n bytes and a few more.
func (s buffers) take(n int) []byte {
	select {
	case buf := <-s:
		return buf[:0]
	default:
		return make([]byte, 0, n+n/16)
	}
}

// put keeps a buffer of at most most bytes, if there is room for one.
func (s buffers) put(buf []byte, most int) {
	if cap(buf) == 0 || cap(buf) > most {
		return
	}
	select {
	case s <- buf:
	default:
	}
}

// giveBack lets the buffers go.
func (s buffers) giveBack() {
	for {
		select {
		case <-s:
		default:
			return
		}
	}
}
