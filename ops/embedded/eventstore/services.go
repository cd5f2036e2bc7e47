package eventstore

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// Version is the EventStoreDB version the node reports to clients, which
// choose what to ask for by it.
const Version = "24.10.0"

// keepalivePolicy lets the clients' pings through: by default they ping every
// ten seconds, which gRPC servers otherwise take for an attack.
var keepalivePolicy = keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}

// gate checks the credentials of each call.
type gate struct {
	open bool     // no credentials are needed
	user string   // the one user there is
	want [32]byte // hash of the one Authorization header that is let in
}

func newGate(username, password string) gate {
	if username == "" {
		return gate{open: true}
	}
	return gate{user: username, want: sha256.Sum256([]byte(basic(username, password)))}
}

func basic(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

// public methods need no credentials: clients call them before they send any.
func public(method string) bool {
	return strings.HasPrefix(method, "/"+serverfeatures.ServerFeatures_ServiceDesc.ServiceName+"/") ||
		strings.HasPrefix(method, "/"+gossip.Gossip_ServiceDesc.ServiceName+"/") ||
		strings.HasPrefix(method, "/"+healthpb.Health_ServiceDesc.ServiceName+"/")
}

func (g gate) check(ctx context.Context, method string) error {
	if g.open || public(method) {
		return nil
	}
	if name, ok := certifiedName(ctx); ok {
		if name != g.user {
			return status.Errorf(codes.Unauthenticated, "the client's certificate names %q, who is no user of this node", name)
		}
		return nil
	}
	given := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(given) == 0 {
		return status.Error(codes.Unauthenticated, "this node needs a user name and a password; the call carries none")
	}
	// Compared as hashes, so that the time taken tells nothing about the secret.
	got := sha256.Sum256([]byte(given[0]))
	if subtle.ConstantTimeCompare(got[:], g.want[:]) != 1 {
		return status.Error(codes.Unauthenticated, "unknown user name or wrong password")
	}
	return nil
}

// certifiedName is whom the client's certificate names, if it presented one
// that the configured authority signed.
func certifiedName(ctx context.Context) (string, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return "", false
	}
	return info.State.PeerCertificates[0].Subject.CommonName, true
}

func (g gate) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := g.check(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (g gate) stream(srv any, call grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := g.check(call.Context(), info.FullMethod); err != nil {
		if info.FullMethod == streams.Streams_Append_FullMethodName {
			hearOut(call)
		}
		return err
	}
	return next(srv, call)
}

// refusedBytes of a refused append are read and dropped.
const refusedBytes = 1 << 20

// hearOut lets a client that is refused finish sending: the official one takes
// a call that ends while it sends for a broken connection, and never learns why.
func hearOut(call grpc.ServerStream) {
	m := &appendMessage{}
	for m.bytes < refusedBytes && m.err == nil {
		if err := call.RecvMsg(m); err != nil {
			return // the client is done, or gone; the refusal is the answer in any case
		}
	}
}

// lacking are the services of EventStoreDB that the node does not have, with
// what to do instead.
var lacking = map[string]string{
	"event_store.client.persistent_subscriptions.PersistentSubscriptions": "the embedded node has no persistent subscriptions; subscribe to a stream or to $all and keep the position yourself",
	"event_store.client.projections.Projections":                          "the embedded node runs no projections in JavaScript",
	"event_store.client.users.Users":                                      "the embedded node has no user management; it knows the one user it was configured with",
	"event_store.client.operations.Operations":                            "the embedded node has no scavenge, merge, restart or shutdown by remote call",
	"event_store.client.monitoring.Monitoring":                            "the embedded node reports by Prometheus metrics, not by this service",
}

// unimplemented answers calls to services the node does not have.
func unimplemented(_ any, call grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(call)
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	if why, ok := lacking[service]; ok {
		return status.Error(codes.Unimplemented, why)
	}
	return status.Errorf(codes.Unimplemented, "the embedded node has no method %s; it serves streams of one machine and has no clustering", method)
}

// featuresService tells clients what the node can do.
type featuresService struct {
	serverfeatures.UnimplementedServerFeaturesServer
}

// GetSupportedMethods implements serverfeatures.ServerFeaturesServer.
func (featuresService) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	const (
		streamsName  = "event_store.client.streams.streams"
		gossipName   = "event_store.client.gossip.gossip"
		featuresName = "event_store.client.server_features.serverfeatures"
	)
	return &serverfeatures.SupportedMethods{
		EventStoreServerVersion: Version,
		Methods: []*serverfeatures.SupportedMethod{
			{ServiceName: streamsName, MethodName: "append"},
			{ServiceName: streamsName, MethodName: "batchappend", Features: []string{"deadline_duration"}},
			{ServiceName: streamsName, MethodName: "read", Features: []string{"position", "events"}},
			{ServiceName: streamsName, MethodName: "delete"},
			{ServiceName: streamsName, MethodName: "tombstone"},
			{ServiceName: gossipName, MethodName: "read"},
			{ServiceName: featuresName, MethodName: "getsupportedmethods"},
		},
	}, nil
}

// gossipService describes the cluster: this node, its leader.
type gossipService struct {
	gossip.UnimplementedGossipServer
	node     *Node
	instance uuid.UUID
}

func newGossipService(n *Node) *gossipService {
	return &gossipService{node: n, instance: uuid.New()}
}

// Read implements gossip.GossipServer. The address is the one the caller
// reached the node by, which works whatever the node listens on.
func (g *gossipService) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	addr := g.node.Addr()
	if p, ok := peer.FromContext(ctx); ok && p.LocalAddr != nil {
		addr = p.LocalAddr
	}
	host, portText, err := net.SplitHostPort(addr.String())
	if err != nil {
		return nil, status.Errorf(codes.Internal, "own address %q: %v", addr, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "own port %q: %v", portText, err)
	}
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		InstanceId:   &shared.UUID{Value: &shared.UUID_String_{String_: g.instance.String()}},
		TimeStamp:    time.Now().UnixNano() / 100,
		State:        gossip.MemberInfo_Leader,
		IsAlive:      true,
		HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(port)},
	}}}, nil
}
