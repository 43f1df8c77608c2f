package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/sse-demo/sse/ssetest"
)

// dashboardQueries are the queries of the panels, with a time in the place of Grafana's
// variables.
func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(readFile(t, "deploy/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		if len(panel.Targets) == 0 {
			t.Errorf("the panel %q shows nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			queries = append(queries, strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(target.Expr))
		}
	}
	return queries
}

// TestMetricsOfAlertsAndDashboard: every metric that they use is one that the
// service has, and the dashboard and the documentation have every metric of the service.
func TestMetricsOfAlertsAndDashboard(t *testing.T) {
	p := start(t, nil)
	isServed := map[string]bool{"up": true} // Prometheus itself makes that one
	for _, name := range regexp.MustCompile(`(?m)^# TYPE (\w+) `).FindAllStringSubmatch(p.get("/metrics"), -1) {
		isServed[name[1]] = true
	}
	alerts, dashboard := readFile(t, "deploy/alerts.yml"), strings.Join(dashboardQueries(t), "\n")
	for name, text := range map[string]string{"alerts.yml": alerts, "dashboard.json": dashboard, "operate.md": readFile(t, "docs/operate.md")} {
		for _, metric := range regexp.MustCompile(`\b(sse|go|process)_[a-z_]+\b`).FindAllString(text, -1) {
			if !isServed[metric] {
				t.Errorf("%s: the service has no metric %s", name, metric)
			}
		}
	}
	for metric := range isServed {
		if strings.HasPrefix(metric, "sse_") && !strings.Contains(dashboard, metric) {
			t.Errorf("dashboard.json does not show %s", metric)
		}
	}
	for _, alert := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(alerts, -1) {
		if !strings.Contains(readFile(t, "docs/operate.md"), "`"+alert[1]+"`") {
			t.Errorf("docs/operate.md does not explain %s", alert[1])
		}
	}
}

// TestAlerts lets Prometheus's own tool check the rules, run their tests, and
// parse the dashboard's queries.
func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool := ssetest.Need(t, "promtool", "prometheus")
	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = filepath.Join(root, "deploy")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
	run("check", "rules", "alerts.yml")
	run("test", "rules", "alerts_test.yml")
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, query := range dashboardQueries(t) {
		fmt.Fprintf(&rules, "  - {record: 'query:%d', expr: '%s'}\n", i, query)
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	run("check", "rules", file)
	tested := readFile(t, "deploy/alerts_test.yml")
	for _, alert := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(readFile(t, "deploy/alerts.yml"), -1) {
		if !strings.Contains(tested, `alertname="`+alert[1]+`"`) {
			t.Errorf("no test fires %s", alert[1])
		}
	}
}
