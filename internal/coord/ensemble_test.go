package coord

import (
	"reflect"
	"testing"
)

func TestEnsemble(t *testing.T) {
	e := NewEnsemble()
	if want := []string{"127.0.0.1:2181"}; !reflect.DeepEqual(e.Servers, want) || e.Root != "" {
		t.Errorf("default %v %q, want %v and no root", e.Servers, e.Root, want)
	}
	if err := e.Set("a:1,b:2/root/x"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a:1", "b:2"}; !reflect.DeepEqual(e.Servers, want) || e.Root != "/root/x" {
		t.Errorf("got %v %q, want %v /root/x", e.Servers, e.Root, want)
	}
	for _, bad := range []string{"", "a", "a:0", "a:1,,b:2", "a:1/x//y", ":2181"} {
		if err := e.Set(bad); err == nil || e.String() != "a:1,b:2/root/x" {
			t.Errorf("Set(%q) = %v, and it is %s now", bad, err, e)
		}
	}
}
