package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/cli"
	"binkeeper/internal/secret"
	"binkeeper/internal/stores"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

// checkTask finds out whether a task can work as spec says, and completes spec
// by what it finds: a replica server id that no replica has, and that the archive is the
// task's, which it creates or, when it fits the source, takes over.
func checkTask(ctx context.Context, id string, spec *zkpaths.Spec, warn func(string)) (*holding, error) {
	server, err := checkSource(ctx, spec, warn)
	if err != nil {
		return nil, err
	}
	store, err := stores.Open(spec.Archive)
	if err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	if err := archive.Probe(ctx, store, id); err != nil {
		return nil, fmt.Errorf("check archive: %w", err)
	}
	h, err := hold(ctx, archive.New(store, id), server, spec.TaskUID)
	if err != nil {
		return nil, fmt.Errorf("archive %s of task %s: %w", store, id, err)
	}
	if text := stores.Warning(store, id); text != "" {
		warn(text)
	}
	return h, nil
}

// checkSource connects to the source and says which server it is.
func checkSource(ctx context.Context, spec *zkpaths.Spec, warn func(string)) (source.Server, error) {
	conn, err := dialSource(ctx, spec.Source, spec.PasswordRef, warn)
	if err != nil {
		return source.Server{}, err
	}
	defer conn.Close()
	if err := conn.CheckFit(ctx); err != nil {
		return source.Server{}, err
	}
	server, err := conn.Server(ctx)
	if err != nil {
		return source.Server{}, fmt.Errorf("ask the source who it is: %w", err)
	}
	if server.SyncBinlog != 1 {
		warn(fmt.Sprintf("the source has sync_binlog=%d: after a crash its binlog may be shorter than the archive, and the task blocked", server.SyncBinlog))
	}
	files, err := conn.BinlogFiles(ctx)
	if err != nil {
		return source.Server{}, fmt.Errorf("list the source's binlog files: %w", err)
	}
	if err := checkStart(spec.Start, files); err != nil {
		return source.Server{}, err
	}
	taken, err := conn.ReplicaIDs(ctx)
	if err != nil {
		return source.Server{}, fmt.Errorf("list the source's replicas: %w", err)
	}
	spec.ReplicaServerID = newServerID(taken)
	return server, nil
}

// dialSource connects to the source with the password that the reference gives
// here.
func dialSource(ctx context.Context, url, passwordRef string, warn func(string)) (*source.Conn, error) {
	target, err := source.ParseURL(url)
	if err != nil {
		return nil, cli.Usage(err)
	}
	password, warnings, err := secret.Resolve(passwordRef)
	if err != nil {
		return nil, err
	}
	for _, text := range warnings {
		warn(text)
	}
	conn, err := source.Connect(ctx, target, source.Options{Password: password})
	if err == nil && conn.Warning() != "" {
		warn(conn.Warning())
	}
	return conn, err
}

// checkStart reports a start at a file that the source does not have.
func checkStart(start string, files []source.BinlogFile) error {
	if start == zkpaths.StartEarliest || start == zkpaths.StartCurrent || slices.ContainsFunc(files, func(f source.BinlogFile) bool { return f.Name == start }) {
		return nil
	}
	hint := "the source has no binlog files"
	if len(files) > 0 {
		hint = fmt.Sprintf("the source has %s to %s", files[0].Name, files[len(files)-1].Name)
	}
	return cli.Fail(cli.NotFound, hint, "--start %s: the source has no such binlog file", start)
}

// A holding is an archive that a task is about to have.
type holding struct {
	archive *archive.Archive
	owner   archive.Owner
}

// adopted reports whether the archive was another task's before.
func (h *holding) adopted() bool { return h.owner.Number > 1 }

// release gives an archive that was taken over back to whose it was.
func (h *holding) release(ctx context.Context) error {
	if !h.adopted() {
		return nil
	}
	return h.archive.Disown(ctx, h.owner)
}

// hold makes an archive the task's that has this uid: a new one, or one that is
// another's, when its newest timeline is server's. The other may be this very task,
// as it was before it lost its ensemble, or one that is alive in another.
func hold(ctx context.Context, a *archive.Archive, server source.Server, uid string) (*holding, error) {
	timelines, err := a.Timelines(ctx)
	if err != nil {
		return nil, err
	}
	if len(timelines) > 0 {
		if err := fits(timelines[len(timelines)-1], server); err != nil {
			return nil, err
		}
	}
	mine := archive.Owner{TaskUID: uid, CreatedAt: time.Now()}
	owner, err := a.Owner(ctx)
	if errors.Is(err, archive.ErrNotExist) {
		owner, err = a.CreateOwner(ctx, mine)
	}
	if err == nil && owner.TaskUID != uid {
		owner, err = a.Adopt(ctx, mine)
	}
	return &holding{a, owner}, err
}

// fits reports why a timeline is not server's.
func fits(t archive.Timeline, server source.Server) error {
	differs := server.Identity().Differs(t.Server())
	if differs == "" {
		return nil
	}
	return cli.Fail(cli.Conflict, "choose another task id or another --archive, or name the source that this archive is of",
		"it holds the binlog of another server: the source is %s", differs)
}

// newServerID returns a random MySQL server id that is not taken.
func newServerID(taken []uint32) uint32 {
	for {
		var b [4]byte
		rand.Read(b[:])
		if id := binary.BigEndian.Uint32(b[:]); id != 0 && !slices.Contains(taken, id) {
			return id
		}
	}
}
