package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const probeTimeout = 3 * time.Second

// checkHealth returns an error unless the service that listens on a is well.
func checkHealth(ctx context.Context, a address) error {
	host := a.Addr
	if strings.HasPrefix(host, ":") {
		host = "localhost" + host
	}
	url, client := "http://"+host+"/health", &http.Client{Timeout: probeTimeout}
	if a.TLSCert != "" { // it is this machine that is asked, by whatever name the certificate is for
		url = "https://" + host + "/health"
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}
