//go:build linux

package clickhouse

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Roles inside the engine. Sessions have the admin role; a research session
// gives it up before the researcher's statement runs.
const (
	adminRole    = "stofstrom_admin"
	researchRole = "stofstrom_research"
)

// prepareFolder makes the folders, writes the engine's configuration and clears
// what an earlier run left in the spool.
func (s *Server) prepareFolder() error {
	for _, name := range []string{"", "engine", "spool", "run", "config", "backups"} {
		if err := os.MkdirAll(s.folder(name), 0o700); err != nil {
			return fmt.Errorf("Dir %s: %w", s.cfg.Dir, err)
		}
	}
	if err := checkWritable(s.cfg.Dir); err != nil {
		return fmt.Errorf("Dir %s: %w", s.cfg.Dir, err)
	}
	// The engine may only open files that exist when its sandbox closes.
	lock, err := os.OpenFile(s.folder("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err := errors.Join(err, closeFile(lock)); err != nil {
		return fmt.Errorf("Dir %s: %w", s.cfg.Dir, err)
	}
	leftovers, err := os.ReadDir(s.folder("spool"))
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	for _, file := range leftovers {
		if err := os.RemoveAll(filepath.Join(s.folder("spool"), file.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("spool: %w", err)
		}
	}
	for name, text := range map[string]string{"config.xml": s.configXML(), "users.xml": s.usersXML()} {
		if err := replaceFile(filepath.Join(s.folder("config"), name), text); err != nil {
			return fmt.Errorf("engine configuration: %w", err)
		}
	}
	return nil
}

func closeFile(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// checkWritable writes and removes a file, so that a folder that is full or
// read-only is named at start and not by the engine in its own words later.
func checkWritable(dir string) error {
	f, err := os.CreateTemp(dir, "write-test-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

func replaceFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// configXML is the engine's server configuration. Caches are bounded so that an
// idle engine stays small beside the other stores of the same machine.
func (s *Server) configXML() string {
	var memory string
	if n := s.cfg.Limits.EngineMemoryBytes; n > 0 {
		memory = fmt.Sprintf("    <max_server_memory_usage>%d</max_server_memory_usage>\n", n)
	}
	return "<clickhouse>\n" +
		"    <users_config>" + escape(filepath.Join(s.folder("config"), "users.xml")) + "</users_config>\n" + memory +
		"    <backups><allowed_path>" + escape(s.BackupFolder()) + "</allowed_path></backups>\n" +
		// Without any macro the library crashes when it is asked for one.
		"    <macros><server>stofstrom</server></macros>\n" +
		"    <mark_cache_size>268435456</mark_cache_size>\n" +
		"    <index_mark_cache_size>67108864</index_mark_cache_size>\n" +
		"    <uncompressed_cache_size>0</uncompressed_cache_size>\n" +
		"    <mmap_cache_size>0</mmap_cache_size>\n" +
		"</clickhouse>\n"
}

// usersXML gives the engine's only user two roles. The engine itself then
// refuses a research session whatever its role was not granted: other
// databases, sources such as files and URLs, every write.
func (s *Server) usersXML() string {
	var grants strings.Builder
	for _, database := range s.cfg.ResearchDatabases {
		fmt.Fprintf(&grants, "                <query>GRANT SELECT ON %s.*</query>\n", database)
	}
	return "<clickhouse>\n" +
		"    <profiles><default></default></profiles>\n" +
		"    <quotas><default></default></quotas>\n" +
		"    <roles>\n" +
		"        <" + adminRole + ">\n            <grants>\n                <query>GRANT ALL ON *.* WITH GRANT OPTION</query>\n            </grants>\n        </" + adminRole + ">\n" +
		"        <" + researchRole + ">\n            <grants>\n" + grants.String() + "            </grants>\n        </" + researchRole + ">\n" +
		"    </roles>\n" +
		"    <users>\n        <default>\n" +
		"            <password></password>\n            <networks><ip>::/0</ip></networks>\n" +
		"            <profile>default</profile>\n            <quota>default</quota>\n" +
		"            <grants><query>GRANT " + adminRole + ", " + researchRole + "</query></grants>\n" +
		"        </default>\n    </users>\n" +
		"</clickhouse>\n"
}

func escape(text string) string {
	var out strings.Builder
	if err := xml.EscapeText(&out, []byte(text)); err != nil {
		return "" // a strings.Builder does not fail
	}
	return out.String()
}
