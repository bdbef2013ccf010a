// What a user would build instead, in Go: the engine of Centrifugo with a Kafka client, rooms on request, no recovery.
//
//	bench-centrifuge PORT BROKERS TOPIC
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/centrifugal/centrifuge"
	"github.com/twmb/franz-go/pkg/kgo"
)

type record struct {
	Room string          `json:"room"`
	Body json.RawMessage `json:"body"`
}

func publish(node *centrifuge.Node, consumer *kgo.Client) {
	for {
		fetches := consumer.PollFetches(context.Background())
		fetches.EachRecord(func(message *kgo.Record) {
			var it record
			if json.Unmarshal(message.Value, &it) != nil {
				return
			}
			if _, err := node.Publish(it.Room, it.Body); err != nil {
				log.Println(err)
			}
		})
	}
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("PORT BROKERS TOPIC")
	}
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: "bench"}}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			answer(centrifuge.SubscribeReply{}, nil)
		})
	})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	consumer, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(os.Args[2], ",")...), kgo.ConsumeTopics(os.Args[3]),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))
	if err != nil {
		log.Fatal(err)
	}
	go publish(node, consumer)
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
	fmt.Println("listening")
	log.Fatal(http.Serve(listener, nil))
}
