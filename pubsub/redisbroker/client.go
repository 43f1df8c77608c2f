package redisbroker

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// maxConnections is how many publishers of a process may wait for Redis at
	// once; others wait for them.
	maxConnections = 32
	// maxIdle is how long a connection may be idle: less than firewalls wait before
	// they forget it without a word.
	maxIdle = time.Minute
)

// newClient returns a client of a single Redis, of the master that Sentinels name, or of
// a cluster. It never repeats a command that may have been carried out, see run.
// readTimeout is how long no byte may come. connected is called for each new connection.
func (e endpoint) newClient(readTimeout, timeout time.Duration, connected func()) redis.UniversalClient {
	o := e.options
	o.Protocol = 2 // no messages but answers, so an idle connection with something to read is one that was closed
	o.Dialer, o.TLSConfig = dialer(timeout, o.TLSConfig), nil
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = timeout, readTimeout, timeout, timeout
	o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled = -1, 1, true
	o.PoolSize, o.PipelinePoolSize, o.ConnMaxIdleTime = cmp.Or(o.PoolSize, maxConnections), -1, maxIdle
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.OnConnect = func(context.Context, *redis.Conn) error { connected(); return nil }
	if !o.IsClusterMode {
		return redis.NewUniversalClient(&o)
	}
	cluster := o.Cluster()
	cluster.DisableRoutingPolicies = true // they would need the command COMMAND
	return redis.NewClusterClient(cluster)
}

// minVersion is the oldest Redis that will do: the first with exclusive ranges.
const minVersion = "6.2"

// inspect finds out whether Redis is a cluster, and refuses one that is too old.
func (e *endpoint) inspect(ctx context.Context, client redis.UniversalClient) error {
	hello, err := client.Do(ctx, "HELLO").Slice() // every user may use it
	if err != nil && strings.Contains(err.Error(), "unknown command") {
		return unsupported("it is older than version 6; " + minVersion + " or later is needed")
	}
	if err != nil {
		return err
	}
	properties := map[string]string{}
	for i := 0; i+1 < len(hello); i += 2 {
		properties[fmt.Sprint(hello[i])] = fmt.Sprint(hello[i+1])
	}
	if isOlder(properties["version"], minVersion) {
		return unsupported("it is version " + properties["version"] + "; " + minVersion + " or later is needed")
	}
	e.options.IsClusterMode = properties["mode"] == "cluster"
	if e.options.IsClusterMode && e.options.DB != 0 {
		return unsupported("it is a cluster, which has the database 0 only")
	}
	return nil
}

// isOlder compares versions as far as wanted goes. One that is no version is not older.
func isOlder(version, wanted string) bool {
	var major, minor, wantedMajor, wantedMinor int
	if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); n < 2 {
		return false
	}
	_, _ = fmt.Sscanf(wanted, "%d.%d", &wantedMajor, &wantedMinor)
	return cmp.Or(cmp.Compare(major, wantedMajor), cmp.Compare(minor, wantedMinor)) < 0
}

// relocate makes the client of a cluster look where the stream is now.
func relocate(ctx context.Context, client redis.UniversalClient) {
	if cluster, ok := client.(*redis.ClusterClient); ok {
		cluster.ReloadState(ctx)
	}
}
