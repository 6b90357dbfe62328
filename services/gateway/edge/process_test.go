package main

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the edge itself, for what only a process can show.
func TestMain(m *testing.M) {
	if os.Getenv("PENSTOCK_TEST_AS_EDGE") == "1" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

type process struct {
	*exec.Cmd
	base string
	logs *bufio.Scanner
}

func spawn(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], append([]string{"--listen", "127.0.0.1:0"}, args...)...)}
	p.Env = append(os.Environ(), "PENSTOCK_TEST_AS_EDGE=1")
	logs, err := p.StderrPipe()
	must(t, err)
	must(t, p.Start())
	t.Cleanup(func() { p.Process.Kill() })
	p.logs = bufio.NewScanner(logs)
	p.base = "http://" + p.log(t, "listening")["address"].(string)
	return p
}

// log returns the next line, which must be JSON and carry the message.
func (p *process) log(t *testing.T, message string) map[string]any {
	t.Helper()
	if !p.logs.Scan() {
		t.Fatalf("no line %q", message)
	}
	var line map[string]any
	must(t, json.Unmarshal(p.logs.Bytes(), &line))
	equal(t, "message", line["msg"], any(message))
	return line
}

// wait reads the log to its end, because Wait closes it, and yields the exit code.
func (p *process) wait() <-chan int {
	exit := make(chan int, 1)
	go func() {
		for p.logs.Scan() {
		}
		_ = p.Wait() // the code says it all
		exit <- p.ProcessState.ExitCode()
	}()
	return exit
}

func TestTheProcessStopsOnASignal(t *testing.T) {
	p := spawn(t)
	must(t, p.Process.Signal(syscall.SIGTERM))
	p.log(t, "draining")
	p.log(t, "stopped")
	equal(t, "exit", soon(t, "the exit", p.wait(), patience), 0)
}

func TestASecondSignalStopsAtOnce(t *testing.T) {
	entered := make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	defer backend.Close()
	p := spawn(t, "--gateway-http", backend.URL)
	go func() {
		if response, err := http.Get(p.base + "/v1/models"); err == nil {
			response.Body.Close()
		}
	}()
	soon(t, "the request", entered, patience)
	must(t, p.Process.Signal(syscall.SIGINT))
	equal(t, "in flight", p.log(t, "draining")["in_flight"], any(1.0))
	must(t, p.Process.Signal(syscall.SIGTERM))
	p.log(t, "stopping at once")
	equal(t, "exit", soon(t, "the exit", p.wait(), patience), exitFailed)
}

func TestAnAddressInUseIsOneLineAndAnExitCode(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	command := exec.Command(os.Args[0], "--listen", taken.Addr().String())
	command.Env = append(os.Environ(), "PENSTOCK_TEST_AS_EDGE=1")
	started := time.Now()
	output, err := command.CombinedOutput()
	if err == nil || time.Since(started) > patience {
		t.Error("it started")
	}
	equal(t, "exit", command.ProcessState.ExitCode(), exitFailed)
	equal(t, "lines", strings.Count(string(output), "\n"), 1)
}
