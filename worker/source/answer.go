package source

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/go-mysql-org/go-mysql/mysql"
)

const (
	// answerBudget bounds what one answer takes of memory, in bytes. It holds the names
	// of some 150,000 binlog files.
	answerBudget = 16 << 20
	// maxColumns is far above what any statement of this package answers with.
	maxColumns = 64
	// maxWord bounds a value that is a name, a version or a number, in bytes.
	maxWord = 512
	// maxMessage bounds what is repeated of a server's own words, in bytes. It is also
	// the longest message that MySQL and MariaDB send.
	maxMessage = 512
)

// commands is the command phase of the client protocol: one command at a time, and
// the answer to it. It believes nothing that the peer says: memory is taken as bytes
// come, an answer as a whole has a budget, and what is out of shape is a
// misshapenError. After that the connection is of no use.
//
// The answers are in the form that was agreed on in the handshake: neither
// CLIENT_DEPRECATE_EOF nor CLIENT_SESSION_TRACK nor CLIENT_QUERY_ATTRIBUTES.
type commands struct {
	conn     io.Writer
	in       *bufio.Reader
	sequence byte  // of the next packet
	left     int64 // of the answer's budget, in bytes
}

// misshapenError is an answer that no server gives.
type misshapenError string

func (e misshapenError) Error() string { return string(e) }

func misshapen(format string, args ...any) error {
	return misshapenError(fmt.Sprintf(format, args...))
}

func newCommands(conn io.ReadWriter) *commands {
	return &commands{conn: conn, in: bufio.NewReaderSize(conn, 4<<10)}
}

// send sends a command: its code and what belongs to it.
func (c *commands) send(code byte, body []byte) error {
	if len(body)+1 >= maxPacket {
		return fmt.Errorf("a command of %d bytes is too long", len(body)+1)
	}
	packet := binary.LittleEndian.AppendUint32(nil, uint32(len(body)+1)) // the sequence number's byte is 0
	packet = append(append(packet, code), body...)
	c.sequence, c.left = 1, answerBudget
	_, err := c.conn.Write(packet)
	return err
}

// ok reads an answer that is to say no more than that all is well.
func (c *commands) ok() error {
	packet, err := c.read()
	if err != nil {
		return err
	}
	return checkOK(packet)
}

// rows reads an answer of at least columns columns, as text; NULL is "". columns 0 is
// a statement that answers with no rows.
func (c *commands) rows(columns int) ([][]string, error) {
	packet, err := c.read()
	if err != nil {
		return nil, err
	}
	if columns == 0 {
		return nil, checkOK(packet)
	}
	n, rest, ok := packedInt(packet)
	if !ok || len(rest) > 0 || n < uint64(columns) || n > maxColumns {
		return nil, misshapen("a packet of %d bytes that begins with %x, where %d columns are due", len(packet), packet[:min(9, len(packet))], columns)
	}
	for range n { // their names are known, and their types do not matter
		if _, err = c.read(); err != nil {
			return nil, err
		}
	}
	if packet, err = c.read(); err == nil && !isEOF(packet) {
		err = misshapen("%d columns announced, and more came", n)
	}
	if err != nil {
		return nil, err
	}
	return c.rowsOf(int(n))
}

// rowsOf reads the rows of a result set.
func (c *commands) rowsOf(columns int) (rows [][]string, err error) {
	const rowSize, valueSize = 2 * 24, 16 // a slice's header while the rows grow, and a string's
	for {
		packet, err := c.read()
		if err != nil {
			return nil, err
		}
		if isEOF(packet) {
			return rows, nil
		}
		if err := c.charge(rowSize + columns*valueSize); err != nil {
			return nil, err
		}
		row, err := parseRow(packet, columns)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
}

// read returns the next packet, joined where it was split, of at least one byte. One
// that is an error is returned as *mysql.MyError.
func (c *commands) read() (packet []byte, err error) {
	for full := true; full; {
		var header [packetHeaderSize]byte
		if _, err := io.ReadFull(c.in, header[:]); err != nil {
			return nil, closedEarly(err)
		}
		size := int(binary.LittleEndian.Uint32(header[:]) & maxPacket)
		if header[3] != c.sequence {
			return nil, misshapen("packet %d where %d is due", header[3], c.sequence)
		}
		c.sequence++
		if err := c.charge(packetHeaderSize + size); err != nil {
			return nil, err
		}
		if packet, err = c.readPart(packet, size); err != nil {
			return nil, closedEarly(err)
		}
		full = size == maxPacket
	}
	switch {
	case len(packet) == 0:
		return nil, misshapen("an empty packet")
	case packet[0] == mysql.ERR_HEADER && len(packet) < 3:
		return nil, misshapen("an error of %d bytes", len(packet))
	case packet[0] == mysql.ERR_HEADER:
		return nil, errorPacket(packet)
	}
	return packet, nil
}

// readPart appends size bytes to packet. That many are only announced: memory is
// taken for as many again as have come.
func (c *commands) readPart(packet []byte, size int) ([]byte, error) {
	for size > 0 {
		had, n := len(packet), min(size, max(4<<10, len(packet)))
		packet = slices.Grow(packet, n)[:had+n]
		if _, err := io.ReadFull(c.in, packet[had:]); err != nil {
			return nil, err
		}
		size -= n
	}
	return packet, nil
}

// charge takes n bytes from the answer's budget.
func (c *commands) charge(n int) error {
	if c.left -= int64(n); c.left < 0 {
		return misshapen("more than %d MiB", answerBudget>>20)
	}
	return nil
}

func closedEarly(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the source has closed the connection: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// isEOF reports whether the packet ends the columns, or the rows: 0xfe, 2 bytes of
// warnings, 2 of status. A row may begin so too, and has 9 bytes at least then.
func isEOF(packet []byte) bool { return len(packet) == 5 && packet[0] == mysql.EOF_HEADER }

// checkOK checks an OK packet: a zero, the numbers of rows and of the last insert, 2
// bytes of status, 2 of warnings, and perhaps a text.
func checkOK(packet []byte) error {
	if packet[0] == mysql.OK_HEADER {
		_, rest, ok := packedInt(packet[1:])
		if ok {
			_, rest, ok = packedInt(rest)
		}
		if ok && len(rest) >= 2+2 {
			return nil
		}
	}
	return misshapen("a packet of %d bytes that begins with %x, where OK is due", len(packet), packet[:min(9, len(packet))])
}

// parseRow reads a row: for each column its length and its bytes, or 0xfb for NULL.
func parseRow(packet []byte, columns int) ([]string, error) {
	const null = 0xfb
	text := string(packet) // one copy; the values are parts of it
	row := make([]string, columns)
	rest := packet
	for i := range row {
		if len(rest) > 0 && rest[0] == null {
			rest = rest[1:]
			continue
		}
		size, after, ok := packedInt(rest)
		if !ok || size > uint64(len(after)) {
			return nil, misshapen("a row of %d bytes ends in column %d of %d", len(packet), i+1, columns)
		}
		start := len(packet) - len(after)
		row[i], rest = text[start:start+int(size)], after[size:]
	}
	if len(rest) > 0 {
		return nil, misshapen("a row with %d bytes behind its %d columns", len(rest), columns)
	}
	return row, nil
}

// brief is what may be repeated of a peer's words: of bounded length, and nothing in
// it that steers a terminal.
func brief(text string) string {
	more := ""
	if len(text) > maxMessage {
		text, more = text[:maxMessage], "…"
	}
	printable := func(r rune) rune {
		if unicode.IsPrint(r) || r == ' ' {
			return r
		}
		return '.'
	}
	return strings.Map(printable, strings.ToValidUTF8(text, ".")) + more
}

// isWord reports whether a value may be a name, a version or a number.
func isWord(value string) bool { return len(value) <= maxWord && brief(value) == value }

// isFileName reports whether a value may be the name of a binlog file: of a file in
// some folder, and no path.
func isFileName(value string) bool {
	return value != "" && len(value) <= 255 && !strings.ContainsAny(value, "/\\") && isWord(value)
}
