//go:build linux

package main

import (
	"context"
	"errors"
	"io"

	"github.com/google/uuid"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// noop has the protocol's stubs and no log behind them: it reads each append
// and forgets it, and reads always give the same event.
type noop struct {
	streams.UnimplementedStreamsServer
	events int // of a subscription, before it falls silent
	event  *streams.ReadResp
}

func newNoop(events int) *noop {
	id := uuid.New()
	return &noop{events: events, event: &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Event: &streams.ReadResp_ReadEvent_RecordedEvent{
			Id:               &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}},
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(readStream)},
			StreamRevision:   5, PreparePosition: 1000, CommitPosition: 1000,
			Metadata: map[string]string{"type": eventType, "created": "17000000000000000", "content-type": "application/json"},
			Data:     payload(1, readBytes),
		},
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: 1000},
	}}}}
}

// Append implements streams.StreamsServer.
func (*noop) Append(call streams.Streams_AppendServer) error {
	for {
		if _, err := call.Recv(); errors.Is(err, io.EOF) {
			return call.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_Success_{Success: &streams.AppendResp_Success{
				CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{CurrentRevision: 1},
				PositionOption:        &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{CommitPosition: 1, PreparePosition: 1}},
			}}})
		} else if err != nil {
			return err
		}
	}
}

// Read implements streams.StreamsServer.
func (s *noop) Read(req *streams.ReadReq, call streams.Streams_ReadServer) error {
	subscription := req.GetOptions().GetSubscription() != nil
	count := req.GetOptions().GetCount()
	if subscription {
		count = uint64(s.events)
		confirmed := &streams.ReadResp{Content: &streams.ReadResp_Confirmation{
			Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()},
		}}
		if err := call.Send(confirmed); err != nil {
			return err
		}
	}
	for range count {
		if err := call.Send(s.event); err != nil {
			return err
		}
	}
	if subscription {
		<-call.Context().Done()
	}
	return nil
}

// noopFeatures tells the client, which asks first, that there are none.
type noopFeatures struct {
	serverfeatures.UnimplementedServerFeaturesServer
}

// GetSupportedMethods implements serverfeatures.ServerFeaturesServer.
func (noopFeatures) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: "24.10.0"}, nil
}
