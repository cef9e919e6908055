// go mod init emit && go get github.com/twmb/franz-go/pkg/kgo && go run . 127.0.0.1:8901
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	// franz-go writes idempotently and waits for all replicas unless told otherwise.
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(os.Args[1], ",")...), kgo.ClientID("pump-gateway"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	id := rand.Text() // once per event, the same in every retry
	value, err := json.Marshal(map[string]any{
		"schema": "wardwatch.device/1",
		"id":     id,
		"time":   time.Now().UTC().Format(time.RFC3339Nano),
		"device": map[string]string{"id": "pump-12", "type": "infusion-pump"},
		"event":  "alarm",
		"action": "occlusion",
	})
	if err != nil {
		log.Fatal(err)
	}
	record := &kgo.Record{
		Topic: "audit.iot",
		Key:   []byte("pump-12"),
		Value: value,
		Headers: []kgo.RecordHeader{
			{Key: "source", Value: []byte("device")},
			{Key: "producer", Value: []byte("pump-gateway")},
			{Key: "event-id", Value: []byte(id)},
		},
	}
	if err := client.ProduceSync(context.Background(), record).FirstErr(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(id)
}
