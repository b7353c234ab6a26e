package zkpaths_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"binkeeper/zkpaths"
)

// payloads gives a new one of each kind.
func payloads() map[string]zkpaths.Payload {
	return map[string]zkpaths.Payload{
		"spec": &zkpaths.Spec{}, "instance": &zkpaths.Instance{}, "worker": &zkpaths.Worker{},
		"lastCommit": &zkpaths.LastCommit{}, "status": &zkpaths.Status{},
	}
}

func mustEncode(t *testing.T, p zkpaths.Payload) []byte {
	t.Helper()
	data, err := zkpaths.Encode("/x", p)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The keys are the contract: other programs read them.
func TestKeys(t *testing.T) {
	want := map[string]string{
		"spec":       "format source password_ref archive start segment_size flush_interval checkpoint_interval desired task_uid replica_uuid replica_server_id created_at",
		"instance":   "format server_id host pid version started_at",
		"worker":     "format server_id host pid cpus version listen started_at",
		"lastCommit": "format term commit timeline file position gtid_set event_time committed_at server_id",
		"status":     "format state term server_id since updated_at reason hint caught_up behind_bytes file position durable_time transitions",
	}
	for kind, p := range payloads() {
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(mustEncode(t, p), &keys); err != nil {
			t.Fatal(err)
		}
		for key := range strings.FieldsSeq(want[kind]) {
			if _, ok := keys[key]; !ok {
				t.Errorf("%s has no key %s", kind, key)
			}
		}
	}
}

func TestZeroLastCommit(t *testing.T) {
	got := string(mustEncode(t, &zkpaths.LastCommit{}))
	for _, want := range []string{`"format":1`, `"term":0`, `"position":0`, `"file":""`, `"event_time":null`, `"committed_at":null`} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s in it", got, want)
		}
	}
}

func TestEncodeKeepsURLsReadable(t *testing.T) {
	got := mustEncode(t, &zkpaths.Spec{Source: "mysql://u@h:1?a=b&c=<d>"})
	if want := `"mysql://u@h:1?a=b&c=<d>"`; !bytes.Contains(got, []byte(want)) {
		t.Errorf("got %s, want %s in it", got, want)
	}
}

func TestDecode(t *testing.T) {
	tests := []struct {
		name, data string
		unreadable bool
		newer      int
	}{
		{"good", `{"format":1,"term":7}`, false, 0},
		{"format only", `{"format":1}`, false, 0},
		{"empty", ``, true, 0},
		{"null", `null`, true, 0},
		{"list", `[1]`, true, 0},
		{"text", `hello`, true, 0},
		{"cut", `{"format":1,"term":7`, true, 0},
		{"two", `{"format":1}{"format":1}`, true, 0},
		{"no format", `{"term":7}`, true, 0},
		{"null format", `{"format":null}`, true, 0},
		{"zero format", `{"format":0}`, true, 0},
		{"negative format", `{"format":-1}`, true, 0},
		{"text format", `{"format":"1"}`, true, 0},
		{"wrong type", `{"format":1,"term":"seven"}`, true, 0},
		{"fraction", `{"format":1,"term":7.5}`, true, 0},
		{"bad time", `{"format":1,"event_time":"yesterday"}`, true, 0},
		{"year in UTC", `{"format":1,"event_time":"9999-12-31T23:59:59-01:00"}`, true, 0},
		{"newer", `{"format":2,"term":"seven"}`, false, 2},
		{"just under", `{"format":1,"x":"` + strings.Repeat("a", zkpaths.MaxPayload-20) + `"}`, false, 0},
		{"too long", `{"format":1,"x":"` + strings.Repeat("a", zkpaths.MaxPayload-19) + `"}`, true, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var c zkpaths.LastCommit
			err := zkpaths.Decode("/p", []byte(test.data), &c)
			var unreadable *zkpaths.UnreadableError
			if got := errors.As(err, &unreadable); got != test.unreadable {
				t.Errorf("unreadable: %v, want %v (%v)", got, test.unreadable, err)
			}
			var newer *zkpaths.NewerFormatError
			if got := errors.As(err, &newer); got != (test.newer != 0) || got && (newer.Format != test.newer || newer.Path != "/p" || newer.Hint() == "") {
				t.Errorf("got %v, want format %d refused", err, test.newer)
			}
			if !test.unreadable && test.newer == 0 && err != nil {
				t.Errorf("got %v, want no error", err)
			}
		})
	}
}

func TestUnknownKeysAreKept(t *testing.T) {
	const data = `{"format":1,"term":3,"TERM":9,"zeta":{"a":[1,2]},"alpha":"<&>","state":"x"}`
	var c zkpaths.LastCommit
	if err := zkpaths.Decode("/p", []byte(data), &c); err != nil {
		t.Fatal(err)
	}
	c.Term = 4
	copied := c // as programs do before they write
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(mustEncode(t, &copied), &keys); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"term": "4", "zeta": `{"a":[1,2]}`, "alpha": `"<&>"`, "state": `"x"`, "TERM": ""} {
		if got := string(keys[key]); got != want {
			t.Errorf("key %s is %s, want %s", key, got, want)
		}
	}
}

func TestMaxPayload(t *testing.T) {
	c := zkpaths.LastCommit{}
	room := zkpaths.MaxPayload - 1 - len(mustEncode(t, &c))
	c.GTIDSet = strings.Repeat("a", room)
	if got := len(mustEncode(t, &c)); got != zkpaths.MaxPayload-1 {
		t.Errorf("encoded %d bytes, want %d", got, zkpaths.MaxPayload-1)
	}
	c.GTIDSet += "a"
	if _, err := zkpaths.Encode("/p", &c); err == nil {
		t.Errorf("a payload of %d bytes was encoded", zkpaths.MaxPayload)
	}
}

func TestSetGTIDSet(t *testing.T) {
	for size, omitted := range map[int]bool{0: false, zkpaths.MaxGTIDSet: false, zkpaths.MaxGTIDSet + 1: true} {
		var c zkpaths.LastCommit
		c.SetGTIDSet(strings.Repeat("a", size))
		if c.GTIDOmitted != omitted || (c.GTIDSet == "") != (omitted || size == 0) {
			t.Errorf("a set of %d bytes: omitted %v, %d bytes stored, want omitted %v", size, c.GTIDOmitted, len(c.GTIDSet), omitted)
		}
		mustEncode(t, &c)
	}
}

func TestDuration(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{`"1s"`, time.Second, true}, {`"1m30s"`, 90 * time.Second, true}, {`"10ms"`, 10 * time.Millisecond, true},
		{`1`, 0, false}, {`"1"`, 0, false}, {`""`, 0, false},
	}
	for _, test := range tests {
		var d zkpaths.Duration
		err := json.Unmarshal([]byte(test.text), &d)
		if (err == nil) != test.ok || time.Duration(d) != test.want {
			t.Errorf("%s reads as %s, %v, want %s, ok %v", test.text, d, err, test.want, test.ok)
		}
	}
}

func TestTimeIsUTCInMilliseconds(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 43, 1, 234_567_890, time.FixedZone("", 2*60*60))
	got, err := json.Marshal(zkpaths.At(at))
	if want := `"2026-11-20T10:43:01.234Z"`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func FuzzDecode(f *testing.F) {
	for _, p := range payloads() {
		data, err := zkpaths.Encode("/x", p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"format":1,"term":3,"Term":4,"new":[1,{"a":null}],"transitions":[{"at":"2026-01-01T00:00:00+02:00"}]}`))
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`{"format":1,"accept":{"answer":"gap"},"flush_interval":"1.5s","created_at":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for kind, p := range payloads() {
			if err := zkpaths.Decode("/x", data, p); err != nil {
				continue
			}
			first, err := zkpaths.Encode("/x", p)
			if err != nil {
				continue // a text of invalid UTF-8 can grow beyond the bound
			}
			again := payloads()[kind]
			if err := zkpaths.Decode("/x", first, again); err != nil {
				t.Fatalf("%s: %s was written as %s: %v", kind, data, first, err)
			}
			second, err := zkpaths.Encode("/x", again)
			if err != nil || !bytes.Equal(first, second) {
				t.Fatalf("%s: written as %s, then as %s, %v", kind, first, second, err)
			}
			if !reflect.DeepEqual(p, again) {
				t.Fatalf("%s: %+v was read back as %+v", kind, p, again)
			}
		}
	})
}
