package faults

// Action is what a script does with a packet.
type Action int

// The actions. All but Pass count as a strike.
const (
	Pass  Action = iota
	Alter        // pass it on, changed
	Drop         // throw this packet away
	Break        // throw it away, and close its connection
	Hold         // freeze the proxy before it: see Proxy.Freeze
)

// A Script judges every packet of a proxy, one at a time. It must not call the proxy.
type Script func(Packet) Action

// Nth does something to the nth packet that matches, from 1, counted over all connections since the script was set, and to no other.
func Nth(n int, do Action, matches func(Packet) bool) Script {
	return func(f Packet) Action {
		if n > 0 && matches(f) {
			if n--; n == 0 {
				return do
			}
		}
		return Pass
	}
}

// Every does something to every packet that matches.
func Every(do Action, matches func(Packet) bool) Script {
	return func(f Packet) Action {
		if matches(f) {
			return do
		}
		return Pass
	}
}

// Going matches every packet of a direction.
func Going(d Direction) func(Packet) bool {
	return func(f Packet) bool { return f.Direction == d }
}

// RequestOf matches the request of a command.
func RequestOf(op int) func(Packet) bool {
	return func(f Packet) bool { return f.Direction == Requests && f.Op == op }
}

// ReplyTo matches what a server answers to a command.
func ReplyTo(op int) func(Packet) bool {
	return func(f Packet) bool { return f.Direction == Replies && f.Op == op }
}
