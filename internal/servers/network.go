package servers

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
)

// A Network has hosts, each a network namespace with an address of its own, on a switch that this machine reaches
// too. Hosts can be taken off the switch, and kept from each other. It needs root and Linux, and the programs ip and
// nsenter; it vanishes with the process that made it, however that ends. Its methods may be called from any goroutine.
type Network struct {
	subnet netip.Prefix
	uplink string // this machine's interface
	bridge *run   // holds the namespace of the switch
	hosts  []*run // each holds a host's namespace
}

// networks counts those of this process.
var networks atomic.Int64

// noHost is a link layer address that no host has.
const noHost = "02:00:00:00:00:ff"

// NewNetwork makes a network of n hosts, whose numbers begin at 0. Close it.
func NewNetwork(n int) (*Network, error) {
	for _, tool := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, &NotInstalledError{Component: "iproute2", Path: tool}
		}
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("make a network: network namespaces need root")
	}
	w := &Network{uplink: fmt.Sprintf("bk%d-%d", os.Getpid(), networks.Add(1))}
	if err := w.make(n); err != nil {
		w.Close()
		return nil, fmt.Errorf("make a network: %w", err)
	}
	return w, nil
}

func (w *Network) make(n int) (err error) {
	if w.subnet, err = freeSubnet(); err != nil {
		return err
	}
	if w.bridge, err = holdNamespace(); err != nil {
		return err
	}
	// The switch has a namespace of its own, where no rule of this machine filters what passes.
	err = ip(nil, fmt.Sprintf("link add %s type veth peer name uplink netns %d", w.uplink, w.bridge.process.Pid),
		fmt.Sprintf("addr add %s/24 dev %s", w.address(254), w.uplink), fmt.Sprintf("link set %s up", w.uplink))
	if err != nil {
		return err
	}
	if err := ip(w.bridge, "link add switch type bridge", "link set switch up", "link set uplink master switch", "link set uplink up"); err != nil {
		return err
	}
	for i := range n {
		host, err := holdNamespace()
		if err != nil {
			return err
		}
		w.hosts = append(w.hosts, host)
		err = ip(w.bridge, fmt.Sprintf("link add %s type veth peer name eth0 netns %d", port(i), host.process.Pid),
			fmt.Sprintf("link set %s master switch", port(i)), fmt.Sprintf("link set %s up", port(i)))
		if err != nil {
			return err
		}
		if err := ip(host, fmt.Sprintf("addr add %s/24 dev eth0", w.Host(i)), "link set eth0 up", "link set lo up"); err != nil {
			return err
		}
	}
	return nil
}

// Host is the address of host n, as "10.213.7.1".
func (w *Network) Host(n int) string { return w.address(byte(n + 1)) }

func (w *Network) address(last byte) string {
	a := w.subnet.Addr().As4()
	a[3] = last
	return netip.AddrFrom4(a).String()
}

// Hosts is how many hosts there are.
func (w *Network) Hosts() int { return len(w.hosts) }

// Isolate takes host n off the switch: it reaches no host, none reaches it, and none is told.
func (w *Network) Isolate(n int) error { return ip(w.bridge, fmt.Sprintf("link set %s down", port(n))) }

// Rejoin ends Isolate.
func (w *Network) Rejoin(n int) error { return ip(w.bridge, fmt.Sprintf("link set %s up", port(n))) }

// Cut keeps hosts a and b from each other, and neither is told: both reach all others.
func (w *Network) Cut(a, b int) error {
	return errors.Join(ip(w.hosts[a], fmt.Sprintf("neigh replace %s lladdr %s nud permanent dev eth0", w.Host(b), noHost)),
		ip(w.hosts[b], fmt.Sprintf("neigh replace %s lladdr %s nud permanent dev eth0", w.Host(a), noHost)))
}

// Mend ends Cut.
func (w *Network) Mend(a, b int) error {
	return errors.Join(ip(w.hosts[a], fmt.Sprintf("neigh del %s dev eth0", w.Host(b))),
		ip(w.hosts[b], fmt.Sprintf("neigh del %s dev eth0", w.Host(a))))
}

// Close takes the network away. Programs that still run on a host lose it.
func (w *Network) Close() {
	for _, r := range append(w.hosts, w.bridge) {
		if r != nil {
			r.process.Kill()
			<-r.done
		}
	}
}

// on returns a command that runs a program on host n.
func (w *Network) on(n int, name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{namespaceOf(w.hosts[n]), name}, args...)...)
}

func port(n int) string { return fmt.Sprintf("port%d", n) }

func namespaceOf(r *run) string { return fmt.Sprintf("--net=/proc/%d/ns/net", r.process.Pid) }

// holdNamespace starts a process that does nothing but have a network namespace, which lasts as long as a process in it does.
func holdNamespace() (*run, error) {
	cmd := exec.Command("sleep", "infinity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNET}
	return start(cmd)
}

// ip runs commands of the program ip, in a namespace, or in this process's own.
func ip(namespace *run, commands ...string) error {
	cmd := exec.Command("ip", "-batch", "-")
	if namespace != nil {
		cmd = exec.Command("nsenter", namespaceOf(namespace), "ip", "-batch", "-")
	}
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip %q: %w: %s", commands, err, bytes.TrimSpace(said))
	}
	return nil
}

// freeSubnet draws one of 10.213.0.0/16 that no interface of this machine has.
func freeSubnet() (netip.Prefix, error) {
	taken, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Prefix{}, err
	}
	for range 100 {
		subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 213, byte(rand.IntN(256)), 0}), 24)
		free := true
		for _, a := range taken {
			other, err := netip.ParsePrefix(a.String())
			free = free && (err != nil || !other.Overlaps(subnet))
		}
		if free {
			return subnet, nil
		}
	}
	return netip.Prefix{}, errors.New("no subnet of 10.213.0.0/16 is free")
}
