package eventstore

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that everything else goes through
	"google.golang.org/grpc/mem"
)

// frame is an answer that is already in wire format. It must not be changed
// after it was sent, since the transport keeps it until it is written.
type frame []byte

// codec passes hot messages by protobuf's reflection: events to be read are
// encoded by hand ([frame]) and events to be appended decoded by hand
// ([appendMessage]). All other messages take the standard way.
type codec struct{ proto encoding.CodecV2 }

func newCodec() (codec, error) {
	c := encoding.GetCodecV2("proto")
	if c == nil {
		return codec{}, fmt.Errorf("gRPC has no codec named proto")
	}
	return codec{proto: c}, nil
}

// Name implements encoding.CodecV2.
func (c codec) Name() string { return c.proto.Name() }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(frame); ok {
		return mem.BufferSlice{mem.SliceBuffer(f)}, nil
	}
	return c.proto.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*appendMessage)
	if !ok {
		return c.proto.Unmarshal(data, v)
	}
	if m.err != nil {
		return nil //nolint:nilerr // told when the append is answered, with what is wrong
	}
	if len(data) == 1 {
		m.err = m.decode(data[0].ReadOnlyData())
	} else {
		m.err = m.decode(data.Materialize())
	}
	return nil
}
