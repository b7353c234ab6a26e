package main

import (
	"bytes"
	"io"
	"os"
)

// A witness knows where each log ended, by its path, so as to tell what has been written since.
type witness map[string]int64

// witness knows the workers' logs from now on.
func (r *rig) witness() (witness, error) {
	var logs []string
	for _, w := range r.workers {
		logs = append(logs, w.Log())
	}
	return watch(logs...)
}

func watch(logs ...string) (witness, error) {
	from := witness{}
	for _, path := range logs {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		from[path] = info.Size()
	}
	return from, nil
}

// saw reports whether one line that was written since holds all of the texts.
func (w witness) saw(texts ...string) (bool, error) {
	for path, from := range w {
		log, err := readFrom(path, from)
		if err != nil {
			return false, err
		}
		for line := range bytes.Lines(log) {
			if holdsAll(line, texts) {
				return true, nil
			}
		}
	}
	return false, nil
}

func readFrom(path string, from int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(file)
}

func holdsAll(line []byte, texts []string) bool {
	for _, text := range texts {
		if !bytes.Contains(line, []byte(text)) {
			return false
		}
	}
	return true
}
