package deploy_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestCompose: nginx asks for the services that compose.yaml runs, and those are
// what the Dockerfile builds.
func TestCompose(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	compose, nginx := read("compose.yaml"), read("nginx.conf")
	servers := regexp.MustCompile(`server (sse-demo-\d):(\d+) max_fails=0;`).FindAllStringSubmatch(nginx, -1)
	if len(servers) != 3 {
		t.Errorf("nginx knows %d replicas", len(servers))
	}
	for _, server := range servers {
		if !strings.Contains(compose, "\n  "+server[1]+": *replica\n") {
			t.Errorf("%s is no service", server[1])
		}
		if !strings.Contains(read("../Dockerfile"), "EXPOSE "+server[2]) {
			t.Errorf("no replica listens on %s", server[2])
		}
	}
	listen := regexp.MustCompile(`listen (\d+);`).FindStringSubmatch(nginx)
	if listen == nil || !strings.Contains(compose, `"8080:`+listen[1]+`"`) {
		t.Error("nginx's port is not published")
	}
}
