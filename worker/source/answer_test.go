package source

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"binkeeper/internal/gtid"

	"binkeeper/internal/binlog"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// goodRow is what a MySQL answers to Server's statement.
var goodRow = []string{"9.7.4", "1", "1", "1", "CRC32", "aa010203-0405-0607-0809-0a0b0c0d0e0f:1-7", "aa010203-0405-0607-0809-0a0b0c0d0e0f", "ON", ""}

func with(row []string, i int, value string) []string {
	changed := append([]string{}, row...)
	changed[i] = value
	return changed
}

// endless sends the same for as long as somebody reads it.
func endless(c *talkerConn, send func() error) {
	for send() == nil {
	}
}

// TestAnswersOutOfShape asks peers that answer as no server does. Each is an
// *AnswerError that names the server, the statement and what is wrong with it, takes
// bounded memory, and leaves a connection that says so at once.
func TestAnswersOutOfShape(t *testing.T) {
	huge := mysql.PutLengthEncodedInt(1<<64 - 1)
	tests := []struct {
		name   string
		answer func(*talkerConn)
		says   string
	}{
		{"an empty packet", func(c *talkerConn) { c.packet(nil) }, "empty packet"},
		{"one byte of OK", func(c *talkerConn) { c.packet([]byte{0}) }, "columns are due"},
		{"OK where rows are due", func(c *talkerConn) { c.packet(okPayload) }, "9 columns are due"},
		{"one byte of error", func(c *talkerConn) { c.packet([]byte{0xff}) }, "an error of 1 bytes"},
		{"a request for a local file", func(c *talkerConn) { c.packet([]byte("\xfb/etc/passwd")) }, "columns are due"},
		{"2^64-1 columns", func(c *talkerConn) { c.packet(huge) }, "columns are due"},
		{"2^40 columns", func(c *talkerConn) { c.packet(mysql.PutLengthEncodedInt(1 << 40)) }, "columns are due"},
		{"columns cut off", func(c *talkerConn) { c.packet(huge[:4]) }, "columns are due"},
		{"too few columns", func(c *talkerConn) { c.rows(3, goodRow[:3]) }, "9 columns are due"},
		{"more columns than announced", func(c *talkerConn) {
			c.packet([]byte{9})
			endless(c, func() error { return c.packet([]byte("\x03def")) })
		}, "9 columns announced"},
		{"a row of too few values", func(c *talkerConn) { c.columns(9); c.packet(rowPayload(goodRow[:6]...)) }, "column 7 of 9"},
		{"a row of too many values", func(c *talkerConn) { c.columns(9); c.packet(append(rowPayload(goodRow...), "more"...)) }, "4 bytes behind its 9 columns"},
		{"a value of 2^64-1 bytes", func(c *talkerConn) { c.columns(9); c.packet(append(bytes.Clone(huge), "x"...)) }, "column 1 of 9"},
		{"a value of 2^63 bytes", func(c *talkerConn) { c.columns(9); c.packet(mysql.PutLengthEncodedInt(1 << 63)) }, "column 1 of 9"},
		{"a value longer than its row", func(c *talkerConn) { c.columns(9); c.packet([]byte{100, 'x'}) }, "column 1 of 9"},
		{"another sequence", func(c *talkerConn) { c.sequence = 42; c.packet([]byte{9}) }, "packet 42 where 1 is due"},
		{"rows without end", func(c *talkerConn) {
			c.columns(9)
			endless(c, func() error { return c.packet(rowPayload(goodRow...)) })
		}, "more than 16 MiB"},
		{"rows of NULLs without end", func(c *talkerConn) {
			c.columns(9)
			endless(c, func() error { return c.packet(bytes.Repeat([]byte{0xfb}, 9)) })
		}, "more than 16 MiB"},
		{"a packet without end", func(c *talkerConn) {
			full := make([]byte, maxPacket)
			endless(c, func() error { return c.packet(full) })
		}, "more than 16 MiB"},
		{"no rows", func(c *talkerConn) { c.rows(9) }, "0 rows"},
		{"two rows", func(c *talkerConn) { c.rows(9, goodRow, goodRow) }, "2 rows"},
		{"a server id that is none", func(c *talkerConn) { c.rows(9, with(goodRow, 1, "one")) }, "server_id"},
		{"a negative server id", func(c *talkerConn) { c.rows(9, with(goodRow, 1, "-1")) }, "server_id"},
		{"a sync_binlog that is none", func(c *talkerConn) { c.rows(9, with(goodRow, 3, "")) }, "sync_binlog"},
		{"a set that is none", func(c *talkerConn) { c.rows(9, with(goodRow, 5, strings.Repeat("a:1\x1b[2J", 9999))) }, "malformed GTID set"},
		{"a version of 100 KB", func(c *talkerConn) { c.rows(9, with(goodRow, 0, strings.Repeat("9.7", 30_000))) }, "value 1"},
		{"a version that steers a terminal", func(c *talkerConn) { c.rows(9, with(goodRow, 0, "9\x1b[2J")) }, "value 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := answering(test.answer).meet(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.Server(t.Context())
			runtime.ReadMemStats(&after)
			checkAnswerError(t, err, "SELECT VERSION()", test.says)
			if took := after.TotalAlloc - before.TotalAlloc; took > 6*answerBudget {
				t.Errorf("it took %d MiB", took>>20)
			}
			if _, err := c.BinlogFiles(t.Context()); err == nil {
				t.Error("the connection goes on")
			}
		})
	}
}

// checkAnswerError checks that err is an *AnswerError about a command, and of a size
// that a status has room for.
func checkAnswerError(t *testing.T, err error, command, says string) {
	t.Helper()
	var answer *AnswerError
	if !errors.As(err, &answer) {
		t.Fatalf("%v", err)
	}
	if !strings.HasPrefix(answer.Command, command) || !strings.Contains(answer.Address, "127.0.0.1:") || !strings.Contains(answer.Problem, says) ||
		answer.Hint() == "" || len(err.Error()) > 2000 || strings.ContainsRune(err.Error(), '\x1b') {
		t.Errorf("%q, want something about %q", err, says)
	}
}

// TestOtherAnswersOutOfShape asks for the rest of what is asked.
func TestOtherAnswersOutOfShape(t *testing.T) {
	files := func(rows ...[]string) talker {
		return answering(func(c *talkerConn) { c.rows(2, rows...) })
	}
	ask := func(c *Conn) error { _, err := c.BinlogFiles(t.Context()); return err }
	register := func(c *Conn) error { return c.register(t.Context()) }
	registering := func(payload []byte) talker {
		return talker{answers: map[string]func(*talkerConn){"\x15": func(c *talkerConn) { c.packet(payload) }}}
	}
	tests := []struct {
		name          string
		talker        talker
		ask           func(*Conn) error
		command, says string
	}{
		{"a file that is a path", files([]string{"../../bin.000001", "4"}), ask, "SHOW BINARY LOGS", "../../bin.000001"},
		{"a file without a name", files([]string{"", "4"}), ask, "SHOW BINARY LOGS", `file ""`},
		{"a file with a long name", files([]string{strings.Repeat("b", 5000) + ".000001", "4"}), ask, "SHOW BINARY LOGS", "bbb"},
		{"a file of no size", files([]string{"bin.000001", "much"}), ask, "SHOW BINARY LOGS", "much"},
		{"a file of a negative size", files([]string{"bin.000001", "-5"}), ask, "SHOW BINARY LOGS", "-5"},
		{"a file of 2^63 bytes", files([]string{"bin.000001", "9223372036854775808"}), ask, "SHOW BINARY LOGS", "9223372036854775808"},
		{"one column of files", answering(func(c *talkerConn) { c.rows(1, []string{"bin.000001"}) }), ask, "SHOW BINARY LOGS", "2 columns are due"},
		{"a registration with an empty answer", registering(nil), register, "the registration", "empty packet"},
		{"a registration with one byte of OK", registering([]byte{0}), register, "the registration", "OK is due"},
		{"a registration with an OK cut off", registering([]byte{0, 0xfe, 1}), register, "the registration", "OK is due"},
		{"a registration with rows", registering([]byte{7}), register, "the registration", "OK is due"},
		{"a setting with rows", answering(func(c *talkerConn) { c.rows(1, []string{"x"}) }),
			func(c *Conn) error { _, err := c.Dump(t.Context(), binlog.Start{File: "bin.000001"}); return err }, "SET @source", "OK is due"},
		{"an account without a host", answering(func(c *talkerConn) { c.rows(1, []string{"binkeeper"}) }),
			func(c *Conn) error { return c.lacks(t.Context(), dumpGrant) }, "SELECT CURRENT_USER()", "binkeeper"},
		{"a replica id that is none", answering(func(c *talkerConn) { c.rows(1, []string{"x"}) }),
			func(c *Conn) error { _, err := c.ReplicaIDs(t.Context()); return err }, "SHOW REPLICAS", "server id"},
		{"a variable of many rows", answering(func(c *talkerConn) { c.rows(2, []string{"a", "b"}, []string{"a", "c"}) }),
			func(c *Conn) error { _, err := c.variable(t.Context(), "a"); return err }, "SHOW GLOBAL", "2 rows"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			checkAnswerError(t, test.ask(test.talker.meet(t)), test.command, test.says)
		})
	}
}

// TestAnswersThatEnd asks peers that go away, or refuse at length: that is no answer
// out of shape.
func TestAnswersThatEnd(t *testing.T) {
	gone := map[string]func(*talkerConn){
		"at once":         nil,
		"in a header":     func(c *talkerConn) { c.Write([]byte{7, 0}); c.Close() },
		"in a packet":     func(c *talkerConn) { c.raw(8<<20, []byte("only announced")); c.Close() },
		"between packets": func(c *talkerConn) { c.packet([]byte{9}); c.Close() },
	}
	for name, answer := range gone {
		c := answering(answer).meet(t)
		_, err := c.Server(t.Context())
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, new(*AnswerError)) {
			t.Errorf("gone %s: %v", name, err)
		}
	}
	long := answering(func(c *talkerConn) { c.packet([]byte("\xff\x10\x04#08004" + strings.Repeat("no\x1b", 1<<20))) }).meet(t)
	_, err := long.Server(t.Context())
	var refused *mysql.MyError
	if !errors.As(err, &refused) || refused.Code != 1040 || len(err.Error()) > 2000 || strings.ContainsRune(err.Error(), '\x1b') {
		t.Errorf("%.300v", err)
	}
}

// TestAnswersAreRead reads what a good server sends, and in what pieces it may.
func TestAnswersAreRead(t *testing.T) {
	set := "aa010203-0405-0607-0809-0a0b0c0d0e0f:1" + strings.Repeat(":3-4:6", 1<<19) // needs more than a packet's first part
	got, err := answering(func(c *talkerConn) { c.rows(9, goodRow) }).meet(t).Server(t.Context())
	if err != nil || got.Version != "9.7.4" || got.ServerID != 1 || !got.LogBin || got.SyncBinlog != 1 || got.UUID != goodRow[6] || got.Executed.String() != goodRow[5] {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = answering(func(c *talkerConn) { c.rows(9, with(goodRow, 5, set)) }).meet(t).Server(t.Context()); err != nil {
		t.Errorf("a long set: %v", err)
	}
	if got.Executed.String() != "aa010203-0405-0607-0809-0a0b0c0d0e0f:1:3-4:6" {
		t.Errorf("a long set: %.100s", got.Executed)
	}
	var rows [][]string
	for range 100_000 {
		rows = append(rows, []string{"mysql-bin.000001", "1073741824", "No"})
	}
	files, err := answering(func(c *talkerConn) { c.rows(3, rows...) }).meet(t).BinlogFiles(t.Context())
	if err != nil || len(files) != len(rows) || files[7] != (BinlogFile{Name: "mysql-bin.000001", Size: 1 << 30}) {
		t.Errorf("%d files, %v", len(files), err)
	}
	null, err := parseRow([]byte{0xfb, 1, 'x', 0}, 3)
	if err != nil || strings.Join(null, ",") != ",x," {
		t.Errorf("%q, %v", null, err)
	}
}

// TestHandshakeOutOfShape connects to peers that go wrong before anything is asked.
func TestHandshakeOutOfShape(t *testing.T) {
	good := greetingOf("9.7.4")
	tests := map[string]talker{
		"an empty greeting":                         {greeting: []byte{}},
		"a greeting of one byte":                    {greeting: []byte{10}},
		"an error of one byte":                      {greeting: []byte{0xff}},
		"a greeting without a salt":                 {greeting: good[:12]},
		"a greeting cut in its salt":                {greeting: good[:40]},
		"a greeting without a plugin":               {greeting: good[:len(good)-22]},
		"an unknown plugin":                         {greeting: append(bytes.TrimSuffix(bytes.Clone(good), []byte("mysql_native_password\x00")), "dialog\x00"...)},
		"an empty answer to the login":              {admits: []byte{}},
		"one byte of error":                         {admits: []byte{0xff}},
		"a switch without a plugin":                 {admits: []byte{0xfe}},
		"a switch to ed25519 and a salt of 3 bytes": {admits: []byte("\xfeclient_ed25519\x00abc")},
		"more of no plugin's":                       {admits: []byte{0x01, 0x04, 0x77}},
	}
	for name, p := range tests {
		c, err := Connect(t.Context(), p.listen(t), Options{Password: "secret"})
		if err == nil {
			_ = c.Close()
			t.Errorf("%s: connected", name)
			continue
		}
		if !errors.As(err, new(*UnfitError)) && !errors.As(err, new(*DeniedError)) && !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHandshakeWithoutEnd meets a peer whose answer to the login never ends.
func TestHandshakeWithoutEnd(t *testing.T) {
	full := make([]byte, maxPacket)
	target := listenWith(t, func(c *talkerConn) {
		_ = c.packet(greetingOf("9.7.4"))
		if _, err := c.read(); err != nil {
			return
		}
		endless(c, func() error { return c.packet(full) })
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Connect(t.Context(), target, Options{Password: "secret"}); err == nil || len(err.Error()) > 2000 {
		t.Errorf("%.300v", err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
		t.Errorf("it took %d MiB", took>>20)
	}
}

// FuzzAnswers plays everything that a server sends, from the greeting to the dump.
// Whatever comes, there is an error in the end, and no panic. Packets are cut by 0xf5,
// which a text rarely has.
func FuzzAnswers(f *testing.F) {
	join := func(payloads ...[]byte) []byte { return bytes.Join(payloads, []byte{0xf5}) }
	definition := []byte("\x03def")
	set := func(columns int, rows ...[]byte) []byte {
		payloads := [][]byte{{byte(columns)}}
		for range columns {
			payloads = append(payloads, definition)
		}
		payloads = append(append(append(payloads, eofPayload), rows...), eofPayload)
		return join(payloads...)
	}
	hello := join(greetingOf("9.7.4"), okPayload, set(9, rowPayload(goodRow...)))
	f.Add(hello)
	f.Add(join(greetingOf("9.7.4"), okPayload, []byte{9}, definition))
	f.Add(join(greetingOf("9.7.4"), okPayload, mysql.PutLengthEncodedInt(1<<64-1)))
	f.Add(join(greetingOf("9.7.4"), []byte("\xfecaching_sha2_password\x00saltsaltsaltsaltsalt\x00"), []byte{1, 3}, okPayload, []byte{0}))
	f.Add(join(greetingOf("9.7.4"), []byte("\xfe")))
	f.Add(join(hello, set(3, rowPayload("mysql-bin.000001", "157", "No")), set(1, rowPayload("1")), set(2), set(9, rowPayload(goodRow...)),
		okPayload, set(2, rowPayload("mysql-bin.000001", "157")), set(2), okPayload, okPayload, record(gtid.MySQL).start("mysql-bin.000001").packets[4:]))
	f.Add(join(hello, []byte("\xff\xcb\x04#42000denied"), set(1, rowPayload("a@b"))))
	f.Add(join(greetingOf("5.5.5-11.8.9-MariaDB"), okPayload, set(6, rowPayload("11.8.9-MariaDB", "1", "1", "1", "CRC32", "0-1-7")),
		set(2, rowPayload("server_uid", "x")), set(2, rowPayload("mysql-bin.000001", "157"))))
	f.Fuzz(func(t *testing.T, says []byte) {
		raw := &puppet{payloads: bytes.Split(says, []byte{0xf5})}
		target := Target{User: "binkeeper", Host: "db", Port: 3306, SSLMode: SSLDisabled}
		err := talk(t.Context(), &Conn{target: target, options: Options{Password: "secret", Heartbeat: DefaultHeartbeat}, raw: raw})
		if err == nil || len(err.Error()) > 16<<10 {
			t.Errorf("%.300v", err)
		}
	})
}
