// Package listen is how the peers in Go listen, all in the same way.
package listen

import (
	"log"
	"net/http"
	"os"
)

// AndServe serves on port PORT of this machine: over TLS with HTTP/2 if CERT and
// KEY are set, otherwise HTTP/1.1, and HTTP/2 with prior knowledge.
func AndServe(handler http.Handler) {
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: handler, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	if cert := os.Getenv("CERT"); cert != "" {
		log.Fatal(server.ListenAndServeTLS(cert, os.Getenv("KEY")))
	}
	log.Fatal(server.ListenAndServe())
}
