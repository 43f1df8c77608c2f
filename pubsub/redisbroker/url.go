package redisbroker

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"
)

// An endpoint is the address of a Redis, and how to connect to it.
type endpoint struct {
	address string                 // for messages
	options redis.UniversalOptions // what the URL says
}

// CheckURL says what is wrong with a URL for [New]. It is one of
//
//	redis://user:password@host:6379/0
//	rediss://user:password@host:6379/0    with TLS
//	unix://user:password@/run/redis.sock?db=0
//	redis://host:26379/0?master_name=NAME&addr=host2:26379    Sentinels
//
// User and password of a Sentinel URL are for the Sentinels; for the master there are
// the parameters username and password. With TLS skip_verify=true accepts any
// certificate, and client_name and pool_size are possible, too. Other parameters of
// go-redis have no effect. The Redis of a URL without master_name may be a node of a
// cluster.
// No error contains a password.
func CheckURL(rawURL string) error {
	_, err := parseURL(rawURL)
	return err
}

func parseURL(rawURL string) (endpoint, error) {
	u, err := url.Parse(rawURL)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		err = bad.Err // without the URL, which may hold a password
	}
	switch {
	case err != nil:
		return endpoint{}, err
	case u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix":
		return endpoint{}, fmt.Errorf("the scheme is %q; it must be redis, rediss or unix", u.Scheme)
	case u.Opaque != "" || u.Fragment != "":
		return endpoint{}, errors.New("it must continue with // and have no #")
	case u.Scheme == "unix" && (u.Host != "" || u.Path == ""):
		return endpoint{}, errors.New("a socket is like unix:///run/redis.sock")
	}
	if u.Query().Has("master_name") {
		o, err := redis.ParseFailoverURL(rawURL)
		if err != nil {
			return endpoint{}, plainURLError(err)
		}
		if o.MasterName == "" {
			return endpoint{}, errors.New("master_name is empty")
		}
		address := fmt.Sprintf("%s (master of the Sentinels %s)", o.MasterName, strings.Join(o.SentinelAddrs, ", "))
		return endpoint{address, redis.UniversalOptions{
			Addrs: o.SentinelAddrs, MasterName: o.MasterName, SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
			Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig, ClientName: o.ClientName, PoolSize: o.PoolSize,
		}}, checkDB(o.DB)
	}
	o, err := redis.ParseURL(rawURL)
	if err != nil {
		return endpoint{}, plainURLError(err)
	}
	return endpoint{o.Addr, redis.UniversalOptions{
		Addrs: []string{o.Addr}, Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig, ClientName: o.ClientName, PoolSize: o.PoolSize,
	}}, checkDB(o.DB)
}

func plainURLError(err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), "redis: "))
}

func checkDB(db int) error {
	if db < 0 {
		return fmt.Errorf("the database is %d; it must be 0 or above", db)
	}
	return nil
}
