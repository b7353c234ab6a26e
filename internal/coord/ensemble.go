package coord

import "binkeeper/zkpaths"

// Ensemble says where ZooKeeper is: host:port[,host:port...][/root]. It is the value of every program's flag
// --zookeeper.
type Ensemble struct {
	Servers []string // host:port
	Root    string   // a znode path that stands in front of every other, "" without one
	text    string
}

// NewEnsemble returns an ensemble of one server on this machine: 127.0.0.1:2181.
func NewEnsemble() *Ensemble {
	return &Ensemble{Servers: []string{"127.0.0.1:2181"}, text: "127.0.0.1:2181"}
}

// Set reads a connect string.
func (e *Ensemble) Set(text string) error {
	servers, root, err := zkpaths.ParseConnect(text)
	if err != nil {
		return err
	}
	*e = Ensemble{Servers: servers, Root: root, text: text}
	return nil
}

// String is the connect string as it was given.
func (e *Ensemble) String() string { return e.text }

// Type is the placeholder in a command's help.
func (e *Ensemble) Type() string { return "servers" }

// EnsembleUsage is the flag's line in a command's help.
const EnsembleUsage = "the ensemble, as host:port[,host:port...][/root]"
