package coord

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"time"
)

func welcomePacket(id int64, timeout time.Duration) []byte {
	body := binary.BigEndian.AppendUint32(nil, 0)
	body = binary.BigEndian.AppendUint32(body, uint32(timeout.Milliseconds()))
	body = binary.BigEndian.AppendUint64(body, uint64(id))
	body = binary.BigEndian.AppendUint32(body, 16)
	body = append(body, make([]byte, 17)...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func TestReadWelcome(t *testing.T) {
	good := welcomePacket(42, 4*time.Second)
	tests := []struct {
		name string
		data []byte
		want error
	}{
		{"good", good, nil},
		{"expired", welcomePacket(0, 0), nil},
		{"no timeout", welcomePacket(42, 0), errNotZooKeeper},
		{"nothing", nil, io.EOF},
		{"cut", good[:20], io.ErrUnexpectedEOF},
		{"ssh", []byte("SSH-2.0-OpenSSH_9.2p1\r\n"), errNotZooKeeper},
		{"http", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), errNotZooKeeper},
		{"mysql", append([]byte{0x4a, 0, 0, 0, 10}, make([]byte, 100)...), errNotZooKeeper},
		{"zeroes", make([]byte, 100), errNotZooKeeper},
	}
	for _, test := range tests {
		packet, id, timeout, err := readWelcome(bytes.NewReader(test.data))
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if test.name == "good" && (id != 42 || timeout != 4*time.Second || !bytes.Equal(packet, good)) {
			t.Errorf("got session %d, timeout %s, %x", id, timeout, packet)
		}
	}
}

func FuzzReadWelcome(f *testing.F) {
	f.Add(welcomePacket(42, time.Second))
	f.Add(welcomePacket(0, 0))
	f.Add([]byte("SSH-2.0-OpenSSH_9.2p1\r\n"))
	f.Add([]byte{0, 0, 0, 36})
	f.Fuzz(func(t *testing.T, data []byte) {
		packet, id, timeout, err := readWelcome(bytes.NewReader(data))
		if err != nil {
			return
		}
		if !bytes.HasPrefix(data, packet) || len(packet) > 4+maxWelcome || id != 0 && timeout <= 0 {
			t.Errorf("%x gave %x, session %d, timeout %s", data, packet, id, timeout)
		}
	})
}

func TestHostsGoRound(t *testing.T) {
	h := &hosts{life: context.Background()}
	if err := h.Init([]string{"127.0.0.1:1", "127.0.0.2:2", "[::1]:3"}); err != nil {
		t.Fatal(err)
	}
	round := func() (addresses []string, again bool) {
		for i := range h.Len() {
			address, vain := h.Next()
			if vain && i > 0 {
				t.Errorf("%s begins a round in mid-round", address)
			}
			again = again || vain
			addresses = append(addresses, address)
		}
		slices.Sort(addresses)
		return addresses, again
	}
	want := []string{"127.0.0.1:1", "127.0.0.2:2", "[::1]:3"}
	for i, wantAgain := range []bool{false, true, true} {
		if got, again := round(); !slices.Equal(got, want) || again != wantAgain {
			t.Errorf("round %d: %q, again %v, want %q, %v", i, got, again, want, wantAgain)
		}
	}
	h.Connected()
	if _, again := round(); again {
		t.Error("the round after a connection pauses")
	}
}

func TestUnresolvedNamesAreDialled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	got := resolve(ctx, []string{"no-such-host.invalid:2181", "no port"})
	slices.Sort(got)
	if want := []string{"no port", "no-such-host.invalid:2181"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
