package monitor

import (
	"encoding/json"
	"testing"
	"time"
)

// The form is Alertmanager's, down to the keys that say nothing here.
func TestWebhookMessage(t *testing.T) {
	at := time.Date(2026, 11, 20, 10, 43, 1, 0, time.UTC)
	a := newChangeAlert("orders", change{alertname: primaryChanged, from: "1", to: "2", term: 4, serverID: "2"}, at)
	over := newBlindAlert("no route", at).resolved(at.Add(time.Minute))
	tests := []struct {
		alert *Alert
		want  string
	}{
		{a, `{"version":"4","groupKey":"{}:{alertname=\"BinkeeperPrimaryChanged\", task=\"orders\"}","truncatedAlerts":0,"status":"firing","receiver":"binkeeper",` +
			`"groupLabels":{"alertname":"BinkeeperPrimaryChanged","task":"orders"},"commonLabels":{"alertname":"BinkeeperPrimaryChanged","severity":"info","task":"orders"},` +
			`"commonAnnotations":{"description":"The primary of task orders has changed from 1 to 2 in term 4.","from":"1","server_id":"2","summary":"The primary of orders: 1 -\u003e 2","term":"4","to":"2"},` +
			`"externalURL":"","alerts":[{"status":"firing","labels":{"alertname":"BinkeeperPrimaryChanged","severity":"info","task":"orders"},` +
			`"annotations":{"description":"The primary of task orders has changed from 1 to 2 in term 4.","from":"1","server_id":"2","summary":"The primary of orders: 1 -\u003e 2","term":"4","to":"2"},` +
			`"startsAt":"2026-11-20T10:43:01Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"2d03b5683140dcd0"}]}`},
		{over, `{"version":"4","groupKey":"{}:{alertname=\"BinkeeperBlind\"}","truncatedAlerts":0,"status":"resolved","receiver":"binkeeper",` +
			`"groupLabels":{"alertname":"BinkeeperBlind"},"commonLabels":{"alertname":"BinkeeperBlind","severity":"warning"},` +
			`"commonAnnotations":{"description":"Nothing is known of any task until it can: no route.","summary":"The monitor cannot read ZooKeeper"},` +
			`"externalURL":"","alerts":[{"status":"resolved","labels":{"alertname":"BinkeeperBlind","severity":"warning"},` +
			`"annotations":{"description":"Nothing is known of any task until it can: no route.","summary":"The monitor cannot read ZooKeeper"},` +
			`"startsAt":"2026-11-20T10:43:01Z","endsAt":"2026-11-20T10:44:01Z","generatorURL":"","fingerprint":"f9ded9e69ebf9167"}]}`},
	}
	for _, test := range tests {
		got, err := json.Marshal(newWebhookMessage(test.alert))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != test.want {
			t.Errorf("got\n%s\nwant\n%s", got, test.want)
		}
	}
}

// The values are those of Prometheus' model.LabelSet.Fingerprint.
func TestFingerprint(t *testing.T) {
	tests := []struct {
		labels map[string]string
		want   string
	}{
		{map[string]string{}, "cbf29ce484222325"},
		{map[string]string{"alertname": "BinkeeperTaskDown", "severity": "critical", "task": "orders"}, "0afb122f624a8e92"},
	}
	for _, test := range tests {
		if got := fingerprint(test.labels); got != test.want {
			t.Errorf("%v: got %s, want %s", test.labels, got, test.want)
		}
	}
}
