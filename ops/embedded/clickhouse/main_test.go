package clickhouse_test

import (
	"testing"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
)

func TestMain(m *testing.M) { clickhousetest.Main(m) }
