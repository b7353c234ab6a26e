package gtid

import (
	"strings"
	"testing"
)

const (
	a = "aaaaaaaa-0000-0000-0000-000000000001"
	b = "bbbbbbbb-0000-0000-0000-000000000001"
)

func mustParse(t testing.TB, flavor Flavor, text string) *Set {
	t.Helper()
	s, err := Parse(flavor, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParse(t *testing.T) {
	tests := []struct {
		flavor Flavor
		in     string
		want   string // String of the set
		bad    bool
	}{
		{MySQL, "", "", false},
		{MySQL, a + ":1-5", a + ":1-5", false},
		{MySQL, " " + strings.ToUpper(a) + " : 1 - 5 : 7 ", a + ":1-5:7", false},
		{MySQL, b + ":3,\n" + a + ":1-2", a + ":1-2,\n" + b + ":3", false},
		{MySQL, a + ":7:1-3:2-5:6", a + ":1-7", false},
		{MySQL, a + ":1-5:Tag_1:1-3:9:other:4", a + ":1-5:other:4:tag_1:1-3:9", false},
		{MySQL, a + ":blue:2," + b + ":blue:3", a + ":blue:2,\n" + b + ":blue:3", false},
		{MySQL, a + ":1," + a + ":2", a + ":1-2", false},
		{MySQL, a + ":9223372036854775806", a + ":9223372036854775806", false},
		{MySQL, a + ":1-2,", a + ":1-2", false},
		{MySQL, a, "", true},
		{MySQL, a + ":", "", true},
		{MySQL, a + ":0", "", true},
		{MySQL, a + ":5-3", "", true},
		{MySQL, a + ":9223372036854775807", "", true},
		{MySQL, a + ":-3", "", true},
		{MySQL, a + ":1:9tag:3", "", true},
		{MySQL, a + ":" + strings.Repeat("x", 33) + ":1", "", true},
		{MySQL, "aaaaaaaa00000000000000000000-00000001:1", "", true},
		{MySQL, "gggggggg-0000-0000-0000-000000000001:1", "", true},
		{MySQL, "0-1-5", "", true},
		{MariaDB, "", "", false},
		{MariaDB, "0-1-5", "0-1-5", false},
		{MariaDB, "1-2-18446744073709551615, 0-4294967295-5", "0-4294967295-5,1-2-18446744073709551615", false},
		{MariaDB, "0-1-5,0-2-6", "0-2-6", false},
		{MariaDB, "0-1", "", true},
		{MariaDB, "0-1-2-3", "", true},
		{MariaDB, "4294967296-1-1", "", true},
		{MariaDB, a + ":1", "", true},
	}
	for _, tt := range tests {
		s, err := Parse(tt.flavor, tt.in)
		if (err != nil) != tt.bad {
			t.Errorf("%q: %v, want an error: %v", tt.in, err, tt.bad)
		}
		if err == nil && s.String() != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, s, tt.want)
		}
	}
}

func TestAdd(t *testing.T) {
	tests := []struct {
		numbers []int64
		want    string
	}{
		{[]int64{1, 2, 3}, "1-3"},
		{[]int64{3, 2, 1}, "1-3"},
		{[]int64{1, 3, 5, 4, 2}, "1-5"},
		{[]int64{1, 3, 5, 7, 3}, "1:3:5:7"},
		{[]int64{10, 1, 5}, "1:5:10"},
		{[]int64{5, 5, 5}, "5"},
		{[]int64{0, -1, 1<<63 - 1, 2}, "2"},
		{[]int64{1<<63 - 2, 1}, "1:9223372036854775806"},
	}
	for _, tt := range tests {
		s := New(MySQL)
		for _, n := range tt.numbers {
			s.AddMySQL([16]byte{1}, "", n)
		}
		if _, got, _ := strings.Cut(s.String(), ":"); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.numbers, got, tt.want)
		}
	}
}

func TestOperations(t *testing.T) {
	tests := []struct {
		flavor            Flavor
		left, right       string
		union, minus      string
		contains, reverse bool // left contains right, right contains left
	}{
		{MySQL, "", "", "", "", true, true},
		{MySQL, a + ":1-5", "", a + ":1-5", a + ":1-5", true, false},
		{MySQL, a + ":1-5", a + ":1-5", a + ":1-5", "", true, true},
		{MySQL, a + ":1-5", a + ":2-3", a + ":1-5", a + ":1:4-5", true, false},
		{MySQL, a + ":1-5", a + ":4-9", a + ":1-9", a + ":1-3", false, false},
		{MySQL, a + ":1-5:7-9", a + ":2:4-7", a + ":1-9", a + ":1:3:8-9", false, false},
		{MySQL, a + ":1-5", b + ":1", a + ":1-5,\n" + b + ":1", a + ":1-5", false, false},
		{MySQL, a + ":1-5:tag:1-3", a + ":1-5", a + ":1-5:tag:1-3", a + ":tag:1-3", true, false},
		{MySQL, a + ":5-6:10-20:30", a + ":1-4:7-9:21-29", a + ":1-30", a + ":5-6:10-20:30", false, false},
		{MariaDB, "0-1-5", "", "0-1-5", "0-1-5", true, false},
		{MariaDB, "0-1-5", "0-2-7", "0-2-7", "", false, true},
		{MariaDB, "0-1-5,1-1-1", "0-2-3", "0-2-3,1-1-1", "0-1-5,1-1-1", true, false},
		{MariaDB, "0-1-5", "0-2-5", "0-2-5", "", true, true},
		{MariaDB, "0-1-5", "1-2-5", "0-1-5,1-2-5", "0-1-5", false, false},
	}
	for _, tt := range tests {
		left, right := mustParse(t, tt.flavor, tt.left), mustParse(t, tt.flavor, tt.right)
		union := left.Clone()
		union.Union(right)
		if union.String() != tt.union {
			t.Errorf("%q union %q: got %q, want %q", tt.left, tt.right, union, tt.union)
		}
		if got := left.Minus(right).String(); got != tt.minus {
			t.Errorf("%q minus %q: got %q, want %q", tt.left, tt.right, got, tt.minus)
		}
		if got := left.Contains(right); got != tt.contains {
			t.Errorf("%q contains %q: got %v", tt.left, tt.right, got)
		}
		if got := right.Contains(left); got != tt.reverse {
			t.Errorf("%q contains %q: got %v", tt.right, tt.left, got)
		}
		if got, want := left.Equal(right), tt.left == tt.right; got != want {
			t.Errorf("%q equals %q: got %v", tt.left, tt.right, got)
		}
		if left.String() != tt.left || right.String() != tt.right {
			t.Errorf("an operation changed %q to %q or %q to %q", tt.left, left, tt.right, right)
		}
		if left.IsEmpty() != (tt.left == "") {
			t.Errorf("%q is empty: %v", tt.left, left.IsEmpty())
		}
		left.Reset()
		if !left.IsEmpty() || left.String() != "" || left.Flavor() != tt.flavor || !right.Contains(left) {
			t.Errorf("%q after Reset: %q", tt.left, left)
		}
	}
}

func TestFormat(t *testing.T) {
	if got, want := FormatMySQL([16]byte{1}, "", 5), "01000000-0000-0000-0000-000000000000:5"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := FormatMySQL([16]byte{1}, "blue", 5), "01000000-0000-0000-0000-000000000000:blue:5"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := FormatMariaDB(1, 2, 3), "1-2-3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(a+":1-5:tag:1-3:7,\n"+b+":9", "0-1-5,1-2-7")
	f.Add(a+":1-5", a+":3-9")
	f.Fuzz(func(t *testing.T, one, other string) {
		for _, flavor := range []Flavor{MySQL, MariaDB} {
			s, err := Parse(flavor, one)
			if err != nil {
				continue
			}
			if again, err := Parse(flavor, s.String()); err != nil || !again.Equal(s) || again.String() != s.String() {
				t.Fatalf("%q: %q, then %v, %v", one, s, again, err)
			}
			o, err := Parse(flavor, other)
			if err != nil {
				continue
			}
			checkAlgebra(t, s, o)
		}
	})
}

// checkAlgebra checks what holds for any two sets.
func checkAlgebra(t *testing.T, s, o *Set) {
	t.Helper()
	union, rest := s.Clone(), s.Minus(o)
	union.Union(o)
	if !union.Contains(s) || !union.Contains(o) || !s.Contains(rest) {
		t.Fatalf("%q and %q: union %q, rest %q", s, o, union, rest)
	}
	if rest.IsEmpty() != o.Contains(s) {
		t.Fatalf("%q minus %q is %q, contains %v", s, o, rest, o.Contains(s))
	}
	rest.Union(o)
	if s.Flavor() == MySQL && !rest.Equal(union) {
		t.Fatalf("%q and %q: rest and other %q, union %q", s, o, rest, union)
	}
}

func BenchmarkAdd(b *testing.B) {
	tests := map[string]func(*Set, int64){
		"mysql":   func(s *Set, n int64) { s.AddMySQL([16]byte{1}, "", n) },
		"tagged":  func(s *Set, n int64) { s.AddMySQL([16]byte{byte(n & 1)}, "blue", n>>1+1) },
		"mariadb": func(s *Set, n int64) { s.AddMariaDB(0, 1, uint64(n)) },
	}
	for name, add := range tests {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			s := New(MySQL)
			for n := int64(1); b.Loop(); n++ {
				add(s, n)
			}
		})
	}
}
