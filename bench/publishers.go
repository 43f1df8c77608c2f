package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const maxPublishers = 16

// publisher is one connection that publishes, a message at a time.
type publisher struct {
	run    *run
	conn   *conn
	id     int
	busy   bool
	asked  time.Duration
	status int
}

// connectPublishers opens n connections to the first server; over TLS, but never
// over HTTP/2.
func (r *run) connectPublishers(n int) error {
	for id := range n {
		p := &publisher{run: r, id: id}
		if err := p.connect(); err != nil {
			return err
		}
		r.pubs = append(r.pubs, p)
	}
	return nil
}

func (p *publisher) connect() (err error) {
	p.conn, err = p.run.open(p.run.servers[0].port, transport{tls: p.run.over.tls})
	if err == nil {
		p.conn.user = &http1{exchange: p}
	}
	return err
}

func (p *publisher) head(status int, _ bool) { p.status = status }
func (p *publisher) data([]byte)             {}

func (p *publisher) done() {
	if p.status < 200 || p.status > 299 {
		p.run.publishErrors++
	}
	p.answered()
}

func (p *publisher) answered() {
	p.run.publishLatency.add(int64(p.run.now - p.asked))
	p.busy = false
	p.run.busy--
}

func (p *publisher) lost() {
	if p.busy {
		p.run.publishErrors++
		p.answered()
	}
	if err := p.connect(); err != nil {
		p.run.publishErrors++
	}
}

// publish sends a message on a publisher that waits for no answer; false if all
// do. A message is due now if due is 0. Messages with number 0 are not counted.
func (r *run) publish(seq, channel int, due time.Duration) bool {
	for _, p := range r.pubs {
		if p.busy || p.conn.closed {
			continue
		}
		p.asked = r.tick()
		if due == 0 {
			due = r.now
		}
		if seq > 0 {
			r.owner[seq] = uint8(p.id)
			r.published++
		}
		body := r.path(strings.Replace(r.peer.body, "%s", payload(seq, p.id, due, r.size), 1), channel)
		head := request("POST", r.path(r.peer.publish, channel), "Content-Type: "+r.peer.contentType()+"\r\n")
		p.busy = true
		r.busy++
		p.conn.send(fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, len(body), body))
		return true
	}
	return false
}

// payload is JSON of about so many bytes: sequence number, publisher, and the time
// at which it was due.
func payload(seq, publisher int, due time.Duration, size int) string {
	b := append(make([]byte, 0, size+64), `{"seq":`...)
	b = strconv.AppendInt(b, int64(seq), 10)
	b = append(b, `,"c":`...)
	b = strconv.AppendInt(b, int64(publisher), 10)
	b = append(b, `,"t":`...)
	b = strconv.AppendInt(b, int64(due), 10)
	b = append(b, `,"pad":"`...)
	for len(b) < size-2 {
		b = append(b, 'x')
	}
	return string(append(b, `"}`...))
}
