package binlog

import (
	"fmt"
	"hash/crc32"
	"testing"
)

// TestChecksum compares with the standard library, at every length up to past where
// that takes over.
func TestChecksum(t *testing.T) {
	b := make([]byte, 300)
	for i := range b {
		b[i] = byte(i*i + i>>3)
	}
	for n := range b {
		if got, want := Checksum(b[:n]), crc32.ChecksumIEEE(b[:n]); got != want {
			t.Errorf("%d bytes: got %08x, want %08x", n, got, want)
		}
	}
}

// BenchmarkChecksum is of the sizes of a small transaction's events.
func BenchmarkChecksum(b *testing.B) {
	for name, sum := range map[string]func([]byte) uint32{"own": Checksum, "library": crc32.ChecksumIEEE} {
		for _, size := range []int{27, 44, 53, 75, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				event := make([]byte, size)
				b.SetBytes(int64(size))
				for b.Loop() {
					sum(event)
				}
			})
		}
	}
}
