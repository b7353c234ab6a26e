package memnet

import (
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		for range 1000 { // nobody reads yet
			if _, err := a.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
		}
		got, err := io.ReadAll(io.LimitReader(b, 5000))
		if err != nil || len(got) != 5000 {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		began := time.Now()
		b.SetReadDeadline(began.Add(time.Minute))
		if _, err := b.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		b.SetReadDeadline(time.Time{})
		go func() {
			time.Sleep(time.Hour)
			a.Write([]byte("late"))
			a.Close()
		}()
		if got, err := io.ReadAll(b); err != nil || string(got) != "late" || time.Since(began) != time.Minute+time.Hour {
			t.Errorf("%q, %v after %s", got, err, time.Since(began))
		}
		if _, err := b.Write([]byte("x")); err == nil {
			t.Error("a write to a closed connection succeeds")
		}
	})
}

func TestDeadlineSetWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := Pipe()
		go func() {
			time.Sleep(time.Second)
			b.SetReadDeadline(time.Now())
		}()
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
}
