//! What a user would build instead, in Rust: socketioxide with rdkafka, rooms on request, no recovery.
//!   bench-socketioxide PORT BROKERS TOPIC
use futures_util::StreamExt;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde::Deserialize;
use socketioxide::extract::{AckSender, Data, SocketRef};
use socketioxide::SocketIo;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Deserialize)]
struct Subscribe {
    room: String,
}

#[derive(Deserialize)]
struct Record {
    room: String,
    event: String,
    body: serde_json::Value,
}

async fn on_connect(socket: SocketRef) {
    socket.on(
        "subscribe",
        async |socket: SocketRef, Data::<Subscribe>(request), ack: AckSender| {
            socket.join(request.room);
            ack.send(&serde_json::json!({ "ok": true })).ok();
        },
    );
}

/// Reads all partitions of the topic from their ends.
fn consumer(brokers: &str, topic: &str) -> StreamConsumer {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench-socketioxide")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a Kafka client");
    let timeout = Duration::from_secs(10);
    let metadata = consumer
        .fetch_metadata(Some(topic), timeout)
        .expect("metadata");
    let mut lanes = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        let (_, end) = consumer
            .fetch_watermarks(topic, partition.id(), timeout)
            .expect("ends");
        lanes
            .add_partition_offset(topic, partition.id(), Offset::Offset(end))
            .expect("an offset");
    }
    consumer.assign(&lanes).expect("assigned");
    consumer
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, brokers, topic] = &arguments[..] else {
        panic!("PORT BROKERS TOPIC")
    };
    // What a client's buffer has no room for is dropped; with the default, 128, most of a burst.
    let (layer, io) = SocketIo::builder().max_buffer_size(8192).build_layer();
    io.ns("/", on_connect);
    let consumer = consumer(brokers, topic);
    tokio::spawn(async move {
        let mut records = consumer.stream();
        while let Some(Ok(message)) = records.next().await {
            let Ok(record) = serde_json::from_slice::<Record>(message.payload().unwrap_or_default())
            else {
                continue;
            };
            io.to(record.room).emit(record.event, &record.body).await.ok();
        }
    });
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}"))
        .await
        .expect("a free port");
    println!("listening");
    axum::serve(listener, axum::Router::new().layer(layer))
        .await
        .expect("served");
}
