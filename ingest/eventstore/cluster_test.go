package eventstore

import (
	"context"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// cluster is several fake nodes that know of each other and agree on a leader.
type cluster struct {
	gossip.UnimplementedGossipServer
	nodes     []*fakeServer
	addresses []string

	mu     sync.Mutex
	leader int // guarded by mu
}

func startCluster(t *testing.T, nodes int) *cluster {
	t.Helper()
	c := &cluster{}
	for range nodes {
		s := newFake()
		c.nodes = append(c.nodes, s)
		c.addresses = append(c.addresses, s.serveAlso(t, func(r grpc.ServiceRegistrar) { gossip.RegisterGossipServer(r, c) }))
	}
	return c
}

func (c *cluster) lead(n int) {
	c.mu.Lock()
	c.leader = n
	c.mu.Unlock()
}

// Read implements the gossip of every node.
func (c *cluster) Read(context.Context, *shared.Empty) (*gossip.ClusterInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info := &gossip.ClusterInfo{}
	for i, address := range c.addresses {
		host, portText, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		port, err := strconv.ParseUint(portText, 10, 16)
		if err != nil {
			return nil, err
		}
		state := gossip.MemberInfo_Follower
		if i == c.leader {
			state = gossip.MemberInfo_Leader
		}
		info.Members = append(info.Members, &gossip.MemberInfo{
			State: state, IsAlive: true,
			HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(port)},
		})
	}
	return info, nil
}

// notLeader answers as a follower that was the leader.
func (c *cluster) notLeader(leader int) func(streams.Streams_AppendServer) (bool, error) {
	return func(in streams.Streams_AppendServer) (bool, error) {
		host, port, err := net.SplitHostPort(c.addresses[leader])
		if err != nil {
			return true, err
		}
		c.lead(leader)
		in.SetTrailer(metadata.Pairs("exception", "not-leader", "leader-endpoint-host", host, "leader-endpoint-port", port))
		return refuse(status.Error(codes.NotFound, "leader info available"))(in)
	}
}

func TestClusterBySeedsFindsAndFollowsTheLeader(t *testing.T) {
	c := startCluster(t, 3)
	c.lead(1)
	// The first seed is a node that is down.
	conn := "esdb://" + deadAddress(t) + "," + c.addresses[0] + "," + c.addresses[2] + "?tls=false"
	l, err := NewLog(testHolder(t, Config{Connection: conn}), LogConfig{})
	require.NoError(t, err)
	ctx := testContext(t)
	done, err := l.Append(ctx, "ledger-1", eventlog.NoStream(), proposed(2))
	require.NoError(t, err)
	require.Equal(t, uint64(1), done.Revision)
	require.Len(t, c.nodes[1].appends, 1, "it went to the leader")

	c.nodes[1].script(c.notLeader(2))
	_, err = l.Append(ctx, "ledger-2", eventlog.NoStream(), proposed(1))
	require.NoError(t, err)
	require.Len(t, c.nodes[1].appends, 1)
	require.Len(t, c.nodes[2].appends, 1, "it went to the new leader")
}

func TestSingleAddressIsRedirectedToTheLeader(t *testing.T) {
	c := startCluster(t, 2)
	l, err := NewLog(testHolder(t, Config{Connection: "esdb://" + c.addresses[0] + "?tls=false"}), LogConfig{})
	require.NoError(t, err)
	c.nodes[0].script(c.notLeader(1))
	_, err = l.Append(testContext(t), "ledger-1", eventlog.NoStream(), proposed(1))
	require.NoError(t, err)
	require.Empty(t, c.nodes[0].appends)
	require.Len(t, c.nodes[1].appends, 1)
}

func TestDiscoverByDNSName(t *testing.T) {
	c := startCluster(t, 1)
	_, port, err := net.SplitHostPort(c.addresses[0])
	require.NoError(t, err)
	l, err := NewLog(testHolder(t, Config{Connection: "esdb+discover://localhost:" + port + "?tls=false"}), LogConfig{})
	require.NoError(t, err)
	_, err = l.Append(testContext(t), "ledger-1", eventlog.NoStream(), proposed(1))
	require.NoError(t, err)
}
