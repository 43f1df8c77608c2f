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
	compose, nginx, dockerfile := read(t, "compose.yaml"), read(t, "nginx.conf"), read(t, "../Dockerfile")
	servers := regexp.MustCompile(`server (sse-demo-\d):(\d+) max_fails=0;`).FindAllStringSubmatch(nginx, -1)
	if len(servers) != 3 {
		t.Errorf("nginx knows %d replicas", len(servers))
	}
	for _, server := range servers {
		if !strings.Contains(compose, "\n  "+server[1]+": *replica\n") {
			t.Errorf("%s is no service", server[1])
		}
		if !strings.Contains(dockerfile, "EXPOSE "+server[2]) {
			t.Errorf("no replica listens on %s", server[2])
		}
	}
	listen := regexp.MustCompile(`listen (\d+);`).FindStringSubmatch(nginx)
	if listen == nil || !strings.Contains(compose, `"8080:`+listen[1]+`"`) {
		t.Error("nginx's port is not published")
	}
}

// TestComposeFile: the data file is in a volume, and in the folder that the image has
// for it.
func TestComposeFile(t *testing.T) {
	compose, dockerfile := read(t, "compose.file.yaml"), read(t, "../Dockerfile")
	file := regexp.MustCompile(`SSE_DATA_FILE: (/\w+)/\w+\n`).FindStringSubmatch(compose)
	volume := regexp.MustCompile(`volumes: \["(\w+):(/\w+)"\]`).FindStringSubmatch(compose)
	port := regexp.MustCompile(`ports: \["8000:(\d+)"\]`).FindStringSubmatch(compose)
	if file == nil || volume == nil || port == nil {
		t.Fatal("it has no data file, no volume or no port")
	}
	if volume[2] != file[1] || !strings.Contains(compose, "\nvolumes:\n  "+volume[1]+":\n") {
		t.Errorf("the data file is in %s, the volume at %s", file[1], volume[2])
	}
	if !strings.Contains(dockerfile, "VOLUME "+file[1]+"\n") || !strings.Contains(dockerfile, "EXPOSE "+port[1]+"\n") {
		t.Errorf("the image has no folder %s, or port %s", file[1], port[1])
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
