package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const tippingHall = "dk-p-1000000001"

// tickets is a weighbridge's export.
func tickets(rows ...string) string {
	return "Vejeseddel;Dato;Retning;EAK;Netto;Kommune\n" + strings.Join(rows, "\n") + "\n"
}

func (s *server) registerTippingHall() {
	s.t.Helper()
	code, body := s.do(http.MethodPut, "/v1/facilities/"+tippingHall, "application/json",
		[]byte(`{"name":"Tippehal","area":"dk-0169","time_zone":"Europe/Copenhagen"}`))
	require.Contains(s.t, []int{200, 201}, code, string(body))
}

// drop writes a file as programs do: beside its place first.
func drop(t testing.TB, dir, name, text string) {
	t.Helper()
	part := filepath.Join(dir, name+".part")
	require.NoError(t, os.WriteFile(part, []byte(text), 0o600))
	require.NoError(t, os.Rename(part, filepath.Join(dir, name)))
}

func readFile(t testing.TB, parts ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts...))
	require.NoError(t, err)
	return string(text)
}

func there(parts ...string) bool {
	_, err := os.Stat(filepath.Join(parts...))
	return err == nil
}

func watch(t testing.TB, s *server, dir string) *program {
	t.Helper()
	p := start(t, "import", "--server", s.api, "--profile", "weighbridge", "--param", "facility="+tippingHall, "--watch", dir, "--settle", "10ms", "--lang", "da")
	p.waitFor(`^watching `)
	return p
}

// A folder is worked on by a process that is killed and started again, and by
// a server that is; each file ends once, with its report beside it.
func TestAWatchedFolderSurvivesKillsAndImportsOnce(t *testing.T) {
	data, dir := t.TempDir(), t.TempDir()
	s := serve(t, data)
	s.registerTippingHall()
	p := watch(t, s, dir)

	drop(t, dir, "marts.csv", tickets("42;31-03-2026 14:05;Ind;20 03 01;12.340;Høje-Taastrup"))
	eventually(t, "a good file ends in done", func() bool { return there(dir, "done", "marts.csv") })
	require.Contains(t, readFile(t, dir, "done", "marts-report.csv"), "stofstrom: resultat")
	require.Contains(t, readFile(t, dir, "done", "marts-report.csv"), "Høje-Taastrup;registreret;")

	drop(t, dir, "fejl.csv", tickets("43;31-03-2026 14:05;Ind;99 99 99;1;"))
	eventually(t, "one with a bad row in failed", func() bool { return there(dir, "failed", "fejl.csv") })
	require.Contains(t, readFile(t, dir, "failed", "fejl-report.csv"), "afvist;")

	drop(t, dir, "andet.csv", "Colour\nred\n")
	eventually(t, "one of another shape too", func() bool { return there(dir, "failed", "andet.csv") })
	require.Contains(t, readFile(t, dir, "failed", "andet-report.txt"), "Colour")

	drop(t, dir, "marts.csv", tickets("42;31-03-2026 14:05;Ind;20 03 01;12.340;Høje-Taastrup", "44;31-03-2026 15:00;Ind;20 03 01;1;"))
	eventually(t, "a name that was there before", func() bool { return there(dir, "done", "marts-2.csv") })
	require.Contains(t, readFile(t, dir, "done", "marts-2-report.csv"), "allerede registreret;")

	code, _, errOut := run(t, "import", "--server", s.api, "--profile", "weighbridge", "--watch", dir)
	require.NotZero(t, code)
	require.Contains(t, errOut, "watches")

	// The server goes away with the watcher in the middle, then the watcher too.
	s.kill()
	drop(t, dir, "april.csv", tickets("45;01-04-2026 08:00;Ind;20 03 01;7.000;"))
	eventually(t, "the file is taken", func() bool { return !there(dir, "april.csv") })
	p.kill()
	require.False(t, there(dir, "done", "april.csv"))
	s = serve(t, data)
	p = watch(t, s, dir)
	eventually(t, "it ends after both came back", func() bool { return there(dir, "done", "april.csv") })
	require.Contains(t, readFile(t, dir, "done", "april-report.csv"), ";registreret;")
	require.Equal(t, 0, p.stop())

	left, err := filepath.Glob(filepath.Join(dir, ".working", "*-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// Killed again and again with files under way, the watcher imports each once.
func TestKilledWatchersImportEachFileOnce(t *testing.T) {
	data, dir := t.TempDir(), t.TempDir()
	s := serve(t, data)
	s.registerTippingHall()
	const files = 12
	for n := range files {
		drop(t, dir, fmt.Sprintf("%02d.csv", n), tickets(fmt.Sprintf("%d;31-03-2026 14:05;Ind;20 03 01;1.000;", n)))
	}
	for n := range files {
		p := watch(t, s, dir)
		if n%2 == 0 {
			p.waitFor(`recorded`)
		}
		p.kill()
	}
	p := watch(t, s, dir)
	eventually(t, "every file is done", func() bool {
		done, err := filepath.Glob(filepath.Join(dir, "done", "*.csv"))
		require.NoError(t, err)
		return len(done) == 2*files
	})
	require.Equal(t, 0, p.stop())
	eventually(t, "every load counts once", func() bool {
		a := s.flows("group_by=facility")
		return a.Total.Events == files && strings.HasPrefix(a.Total.Tonnes, "12.000")
	})
}

func TestADryRunOfTheCommandRecordsNothing(t *testing.T) {
	s := serve(t, t.TempDir())
	s.registerTippingHall()
	file := filepath.Join(t.TempDir(), "marts.csv")
	require.NoError(t, os.WriteFile(file, []byte(tickets("42;31-03-2026 14:05;Ind;20 03 01;12.340;", "43;31-03-2026 14:05;Ind;99 99 99;1;")), 0o600))
	args := []string{"import", "--server", s.api, "--profile", "weighbridge", "--param", "facility=" + tippingHall, file}
	code, out, errOut := run(t, append(args, "--dry-run")...)
	require.Equal(t, 1, code, errOut)
	require.Contains(t, out, "nothing was recorded")
	require.Contains(t, out, "1 recorded")
	require.Contains(t, out, "line 3: rejected")
	code, out, _ = run(t, args...)
	require.Equal(t, 1, code)
	require.Contains(t, out, "1 recorded", "the dry run had left nothing")
}
