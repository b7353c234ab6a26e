package dump

import (
	"reflect"
	"testing"
	"time"

	"binkeeper/zkpaths"
)

// notInputs are the keys of a spec by which an attempt under way would be no other one.
var notInputs = map[string]string{
	"Head":         "the format and the keys of later versions, which this one does not know",
	"Start":        "where the first timeline begins; once there is one, nothing depends on it",
	"Desired":      "the term ends the attempt itself when the task is to be paused or removed",
	"CreatedAt":    "only shown",
	"Owner":        "looked at before anything is archived; it is set while the attempt runs",
	"SwitchoverTo": "the member's: it decides who is primary",
	"ResumedAt":    "the term begins another attempt by itself",
	"Accept":       "an answer to a blocked task, for which no attempt is under way",
	"Vanished":     "it stands only in a spec whose task is removed, of which no attempt is under way",
}

// Every key of a spec is one that an attempt depends on, or named as one that it does not.
func TestStaleByEveryKey(t *testing.T) {
	spec := reflect.TypeFor[zkpaths.Spec]()
	for i := range spec.NumField() {
		field := spec.Field(i)
		changed := reflect.New(spec).Elem()
		change(t, changed.Field(i), field.Name)
		d := &Dump{cfg: Config{Spec: zkpaths.Spec{}}}
		stale, why := d.Stale(changed.Interface().(zkpaths.Spec)), notInputs[field.Name]
		switch {
		case !stale && why == "":
			t.Errorf("a change of %s leaves the attempt as it is: put it into inputs, or say here why not", field.Name)
		case stale && why != "":
			t.Errorf("a change of %s asks for another attempt, and it is said not to: %s", field.Name, why)
		}
	}
	for name := range notInputs {
		if _, ok := spec.FieldByName(name); !ok {
			t.Errorf("%s is no key of a spec any more", name)
		}
	}
	if d := (&Dump{cfg: Config{Spec: zkpaths.Spec{Source: "a"}}}); d.Stale(d.Spec()) {
		t.Error("an attempt is stale by its own spec")
	}
}

// change gives a field a value that it does not have yet.
func change(t *testing.T, field reflect.Value, name string) {
	t.Helper()
	switch field.Kind() {
	case reflect.String:
		field.SetString("changed")
	case reflect.Bool:
		field.SetBool(true)
	case reflect.Int64:
		field.SetInt(1)
	case reflect.Uint32:
		field.SetUint(1)
	case reflect.Pointer:
		field.Set(reflect.New(field.Type().Elem()))
	case reflect.Struct:
		switch field.Addr().Interface().(type) {
		case *zkpaths.Head:
			field.FieldByName("Format").SetInt(9)
		case *zkpaths.Time:
			field.Set(reflect.ValueOf(zkpaths.At(time.Unix(1, 0))))
		default:
			t.Fatalf("%s is of a kind that this test does not know", name)
		}
	default:
		t.Fatalf("%s is of a kind that this test does not know", name)
	}
}
