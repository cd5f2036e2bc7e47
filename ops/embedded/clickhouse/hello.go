//go:build linux

package clickhouse

import (
	"context"
	"strconv"
	"strings"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/internal/wire"
)

// helloQuery is the first statement of the Go driver on every connection. From
// its answer the driver learns the revision in which it reads all later blocks,
// while it expects this one answer in its own revision.
const helloQuery = "SELECT displayName(), version(), revision(), timezone()"

// isHello recognises the driver's first statement.
func isHello(st *statement) bool {
	return strings.TrimSpace(st.text) == helloQuery && st.params.Get("client_protocol_version") != "" && st.params.Get("default_format") == "Native"
}

// answerHello answers the driver that this server speaks revision 0: the engine
// library encodes Native blocks in that revision and in no other.
func (s *Server) answerHello(ctx context.Context, st *statement, answer *answer) *Exception {
	revision, err := strconv.ParseUint(st.params.Get("client_protocol_version"), 10, 32)
	if err != nil {
		return exceptionf(codeBadArguments, "client_protocol_version: %v", err)
	}
	var version strings.Builder
	var summary wire.Summary
	request := wire.Request{Tag: uuid.NewString(), SQL: "SELECT version()", Format: "TSVRaw"}
	if err := s.call(ctx, request, func(p []byte) error { version.Write(p); return nil }, &summary); err != nil {
		return s.exception(err, st)
	}
	block := proto.NewBlock()
	for _, c := range [][2]string{{"displayName()", "String"}, {"version()", "String"}, {"revision()", "UInt32"}, {"timezone()", "String"}} {
		if err := block.AddColumn(c[0], column.Type(c[1])); err != nil {
			return exceptionf(codeIncorrectData, "hello: %v", err)
		}
	}
	if err := block.Append(displayName, strings.TrimSpace(version.String()), uint32(0), "UTC"); err != nil {
		return exceptionf(codeIncorrectData, "hello: %v", err)
	}
	var encoded chproto.Buffer
	if err := block.Encode(&encoded, revision); err != nil {
		return exceptionf(codeIncorrectData, "hello: %v", err)
	}
	answer.format = "Native"
	if err := answer.write(encoded.Buf); err != nil {
		return s.exception(err, st)
	}
	if err := answer.finish(); err != nil {
		return s.exception(err, st)
	}
	return nil
}
