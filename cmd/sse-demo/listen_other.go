//go:build !linux

package main

import (
	"net"
	"time"
)

// listenConfig leaves the options of connections to Go.
func listenConfig(time.Duration) net.ListenConfig { return net.ListenConfig{} }
