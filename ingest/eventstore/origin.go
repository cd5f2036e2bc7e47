package eventstore

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// Origin is where and when an event was recorded before it was copied to this
// log. A copy carries it in its metadata, in a member that readers of this
// package take out again: they see the metadata as it was, and the recorded
// time of the original.
type Origin struct {
	// Position in the log the event was copied from.
	Position eventlog.Position
	// RecordedAt is the time in the first log that recorded the event: a copy
	// of a copy keeps it.
	RecordedAt time.Time
}

// wireOrigin is the member of the metadata that holds the Origin. A Publisher
// escapes names that begin with $, so that no message can forge it.
const wireOrigin = "$copied_from"

// originBegin begins the metadata of every copied event, and of no other.
const originBegin = `{"` + wireOrigin + `":{`

// originMember is the member as it is stored. Its values hold no braces, so
// that the first closing one ends it.
type originMember struct {
	Position   string `json:"position"`
	RecordedAt string `json:"recorded_at"`
	// Metadata that is no JSON object cannot take a member, and stands here
	// instead, in base64; nil when the member was put into the object.
	Metadata *string `json:"metadata_base64,omitzero"`
}

// withOrigin returns the metadata of a copy. The bytes of meta come back from
// splitOrigin exactly.
func withOrigin(meta []byte, o Origin) ([]byte, error) {
	member := originMember{Position: o.Position.String(), RecordedAt: o.RecordedAt.UTC().Format(time.RFC3339Nano)}
	object := len(meta) > 0 && meta[0] == '{' && jsontext.Value(meta).IsValid()
	if !object {
		text := base64.StdEncoding.EncodeToString(meta)
		member.Metadata = &text
	}
	raw, err := json.Marshal(member)
	if err != nil {
		return nil, fmt.Errorf("write the origin of a copy: %w", err)
	}
	out := make([]byte, 0, len(originBegin)+len(raw)+len(meta)+1)
	out = append(out, originBegin[:len(originBegin)-1]...)
	out = append(out, raw...)
	switch {
	case !object:
		return append(out, '}'), nil
	case bytes.TrimLeft(meta[1:], " \t\r\n")[0] != '}':
		out = append(out, ',')
	}
	return append(out, meta[1:]...), nil
}

// splitOrigin takes the Origin out of the metadata of a copy. ok is false for
// metadata that withOrigin did not write.
func splitOrigin(meta []byte) (original []byte, o Origin, ok bool) {
	if !bytes.HasPrefix(meta, []byte(originBegin)) {
		return meta, Origin{}, false
	}
	original, o, err := parseOrigin(meta)
	if err != nil {
		return meta, Origin{}, false
	}
	return original, o, true
}

func parseOrigin(meta []byte) ([]byte, Origin, error) {
	begin := len(originBegin) - 1
	end := bytes.IndexByte(meta, '}') + 1
	if end <= begin || end >= len(meta) {
		return nil, Origin{}, errors.New("the origin is cut short")
	}
	var member originMember
	if err := json.Unmarshal(meta[begin:end], &member, json.RejectUnknownMembers(true)); err != nil {
		return nil, Origin{}, err
	}
	position, err := ParsePosition(member.Position)
	if err != nil {
		return nil, Origin{}, err
	}
	at, err := time.Parse(time.RFC3339Nano, member.RecordedAt)
	if err != nil {
		return nil, Origin{}, err
	}
	o := Origin{Position: position, RecordedAt: at.UTC()}
	if member.Metadata != nil {
		if *member.Metadata == "" {
			return nil, o, nil // as the client shows it
		}
		original, err := base64.StdEncoding.DecodeString(*member.Metadata)
		return original, o, err
	}
	rest := bytes.TrimPrefix(meta[end:], []byte(","))
	return append([]byte{'{'}, rest...), o, nil
}

// asRecorded shows a copied event as its original was. The recorded time is
// never later than that of the copy, so that it does not go backwards where
// copies end and events of this log begin, whatever the clocks of the two
// machines say.
func asRecorded(e eventlog.Recorded) (eventlog.Recorded, *Origin) {
	meta, o, ok := splitOrigin(e.Meta)
	if !ok {
		return e, nil
	}
	e.Meta = meta
	if o.RecordedAt.Before(e.RecordedAt) {
		e.RecordedAt = o.RecordedAt
	}
	return e, &o
}
