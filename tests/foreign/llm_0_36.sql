BEGIN TRANSACTION;
CREATE TABLE "_llm_migrations" (
   "name" TEXT PRIMARY KEY,
   "applied_at" TEXT
);
CREATE TABLE "attachments" (
   "id" TEXT PRIMARY KEY,
   "type" TEXT,
   "path" TEXT,
   "url" TEXT,
   "content" BLOB
);
INSERT INTO "attachments" VALUES('71fde3856a298a052c6edb5155638d8422114e55bf0e28374d90dea8be99ef6c','image/png',NULL,NULL,X'89504E470D0A1A0A0000000D4948445200000001000000010806000000');
INSERT INTO "attachments" VALUES('504544927686af9d2bd27efc304316cd81f8d0471fbd4791c3e9225b46a8bc90','image/png',NULL,'https://example.org/b.png',NULL);
CREATE TABLE "conversations" (
   "id" TEXT PRIMARY KEY,
   "name" TEXT,
   "model" TEXT
);
CREATE TABLE "fragment_aliases" (
   "alias" TEXT PRIMARY KEY,
   "fragment_id" INTEGER REFERENCES "fragments"("id")
);
CREATE TABLE "fragments" (
   "id" INTEGER PRIMARY KEY,
   "hash" TEXT,
   "content" TEXT,
   "datetime_utc" TEXT,
   "source" TEXT
);
INSERT INTO "fragments" VALUES(1,'67a77ec4f8605f02d930b7861b459d1097a4a24ecb4a4670ba437e7cf2af7466','A long novel.','2026-11-20 23:22:32','novel.txt');
INSERT INTO "fragments" VALUES(2,'0c9813ff2d40dea4413f4a14aafa815825efcc069f1d576d1fa0d75431b229fb','In Norwegian.','2026-11-20 23:22:32','-');
CREATE TABLE "messages" (
   "hash" TEXT PRIMARY KEY,
   "parent_hash" TEXT REFERENCES "messages"("hash"),
   "role" TEXT,
   "provider_metadata" TEXT
);
INSERT INTO "messages" VALUES('b2:20707d600a054a5ccdf13c35042960d8',NULL,'system',NULL);
INSERT INTO "messages" VALUES('b2:50b142cc136bb69a2f74229a4edcf874','b2:20707d600a054a5ccdf13c35042960d8','user',NULL);
INSERT INTO "messages" VALUES('b2:255343ea0b07349cc9baf64063494a21','b2:50b142cc136bb69a2f74229a4edcf874','assistant',NULL);
INSERT INTO "messages" VALUES('b2:cb92daa7c2c5ce73ace420088f921df5','b2:255343ea0b07349cc9baf64063494a21','user',NULL);
INSERT INTO "messages" VALUES('b2:f291f12bf856eca5481046f050edeb81','b2:cb92daa7c2c5ce73ace420088f921df5','assistant',NULL);
INSERT INTO "messages" VALUES('b2:0975fad6144db1d9dbf39c18ef6deff5',NULL,'user',NULL);
INSERT INTO "messages" VALUES('b2:acc815d73dcd8254eda000905785b160','b2:0975fad6144db1d9dbf39c18ef6deff5','assistant',NULL);
INSERT INTO "messages" VALUES('b2:d6368362c2c671b951b4b44df63a4f9a',NULL,'system',NULL);
INSERT INTO "messages" VALUES('b2:0698e5e94a9c2fbc24ffa22c7805b08e','b2:d6368362c2c671b951b4b44df63a4f9a','user',NULL);
INSERT INTO "messages" VALUES('b2:f974ac4a85478fcbfbd00a9288a3fe09','b2:0698e5e94a9c2fbc24ffa22c7805b08e','assistant',NULL);
INSERT INTO "messages" VALUES('b2:3facfb48fb0470ea6c345b3a9ba29854',NULL,'user',NULL);
INSERT INTO "messages" VALUES('b2:9c426d2d3b9774c2e14bec143c23777f','b2:3facfb48fb0470ea6c345b3a9ba29854','assistant',NULL);
INSERT INTO "messages" VALUES('b2:a7e79f8bf5c5f8c8824e3d01a0c07783','b2:9c426d2d3b9774c2e14bec143c23777f','tool',NULL);
INSERT INTO "messages" VALUES('b2:20facdde57f8329eb0ac50ba94fd6e9e','b2:a7e79f8bf5c5f8c8824e3d01a0c07783','assistant',NULL);
CREATE TABLE "part_attachments" (
   "part_id" INTEGER REFERENCES "parts"("id"),
   "attachment_id" TEXT REFERENCES "attachments"("id"),
   "order" INTEGER,
   PRIMARY KEY ("part_id", "attachment_id", "order")
);
INSERT INTO "part_attachments" VALUES(7,'71fde3856a298a052c6edb5155638d8422114e55bf0e28374d90dea8be99ef6c',0);
INSERT INTO "part_attachments" VALUES(8,'504544927686af9d2bd27efc304316cd81f8d0471fbd4791c3e9225b46a8bc90',0);
CREATE TABLE "part_fragments" (
   "part_id" INTEGER REFERENCES "parts"("id"),
   "fragment_id" INTEGER REFERENCES "fragments"("id"),
   "order" INTEGER,
   PRIMARY KEY ("part_id", "fragment_id", "order")
);
INSERT INTO "part_fragments" VALUES(10,2,0);
INSERT INTO "part_fragments" VALUES(11,1,0);
CREATE TABLE "parts" (
   "id" INTEGER PRIMARY KEY,
   "message_hash" TEXT REFERENCES "messages"("hash"),
   "position" INTEGER,
   "type" TEXT,
   "tool_name" TEXT,
   "text" TEXT,
   "payload" TEXT
);
INSERT INTO "parts" VALUES(1,'b2:20707d600a054a5ccdf13c35042960d8',0,'text',NULL,'Be short.',NULL);
INSERT INTO "parts" VALUES(2,'b2:50b142cc136bb69a2f74229a4edcf874',0,'text',NULL,'Why is the sky blue?',NULL);
INSERT INTO "parts" VALUES(3,'b2:255343ea0b07349cc9baf64063494a21',0,'text',NULL,'It is cold.',NULL);
INSERT INTO "parts" VALUES(4,'b2:cb92daa7c2c5ce73ace420088f921df5',0,'text',NULL,'And at night?',NULL);
INSERT INTO "parts" VALUES(5,'b2:f291f12bf856eca5481046f050edeb81',0,'text',NULL,'It is cold.',NULL);
INSERT INTO "parts" VALUES(6,'b2:0975fad6144db1d9dbf39c18ef6deff5',0,'text',NULL,'What is this? key sk-abcdefghijklmnopqrstuvwx',NULL);
INSERT INTO "parts" VALUES(7,'b2:0975fad6144db1d9dbf39c18ef6deff5',1,'attachment',NULL,NULL,'{"attachment": {"id": "71fde3856a298a052c6edb5155638d8422114e55bf0e28374d90dea8be99ef6c"}}');
INSERT INTO "parts" VALUES(8,'b2:0975fad6144db1d9dbf39c18ef6deff5',2,'attachment',NULL,NULL,'{"attachment": {"id": "504544927686af9d2bd27efc304316cd81f8d0471fbd4791c3e9225b46a8bc90"}}');
INSERT INTO "parts" VALUES(9,'b2:acc815d73dcd8254eda000905785b160',0,'text',NULL,'It is cold.',NULL);
INSERT INTO "parts" VALUES(10,'b2:d6368362c2c671b951b4b44df63a4f9a',0,'text',NULL,NULL,'{"text_ref": [{"fragment": 2}]}');
INSERT INTO "parts" VALUES(11,'b2:0698e5e94a9c2fbc24ffa22c7805b08e',0,'text',NULL,NULL,'{"text_ref": [{"fragment": 1}, {"literal": "\nSum up"}]}');
INSERT INTO "parts" VALUES(12,'b2:f974ac4a85478fcbfbd00a9288a3fe09',0,'text',NULL,'It is cold.',NULL);
INSERT INTO "parts" VALUES(13,'b2:3facfb48fb0470ea6c345b3a9ba29854',0,'text',NULL,'Weather in Oslo?',NULL);
INSERT INTO "parts" VALUES(14,'b2:9c426d2d3b9774c2e14bec143c23777f',0,'text',NULL,'Looking it up.',NULL);
INSERT INTO "parts" VALUES(15,'b2:9c426d2d3b9774c2e14bec143c23777f',1,'tool_call','weather',NULL,'{"name": "weather", "arguments": {"city": "Oslo"}, "tool_call_id": "call-1"}');
INSERT INTO "parts" VALUES(16,'b2:a7e79f8bf5c5f8c8824e3d01a0c07783',0,'tool_result','weather',NULL,'{"name": "weather", "output": "-3 in Oslo", "tool_call_id": "call-1"}');
INSERT INTO "parts" VALUES(17,'b2:20facdde57f8329eb0ac50ba94fd6e9e',0,'text',NULL,'It is cold.',NULL);
CREATE TABLE "prompt_attachments" (
   "response_id" TEXT REFERENCES "responses"("id"),
   "attachment_id" TEXT REFERENCES "attachments"("id"),
   "order" INTEGER,
   PRIMARY KEY ("response_id", "attachment_id")
);
CREATE TABLE "prompt_fragments" (
   "response_id" TEXT REFERENCES "responses"("id"),
   "fragment_id" INTEGER REFERENCES "fragments"("id"),
   "order" INTEGER,
   PRIMARY KEY ("response_id", "fragment_id", "order")
);
CREATE TABLE "responses" (
   "id" TEXT PRIMARY KEY,
   "model" TEXT,
   "prompt" TEXT,
   "system" TEXT,
   "prompt_json" TEXT,
   "options_json" TEXT,
   "response" TEXT,
   "response_json" TEXT,
   "conversation_id" TEXT REFERENCES "conversations"("id"),
   "duration_ms" INTEGER,
   "datetime_utc" TEXT,
   "input_tokens" INTEGER,
   "output_tokens" INTEGER,
   "token_details" TEXT,
   "schema_id" TEXT REFERENCES "schemas"("id")
, "resolved_model" TEXT, "reasoning" TEXT);
CREATE TABLE "schemas" (
   "id" TEXT PRIMARY KEY,
   "content" TEXT
);
CREATE TABLE "system_fragments" (
   "response_id" TEXT REFERENCES "responses"("id"),
   "fragment_id" INTEGER REFERENCES "fragments"("id"),
   "order" INTEGER,
   PRIMARY KEY ("response_id", "fragment_id", "order")
);
CREATE TABLE "threads" (
   "id" TEXT PRIMARY KEY,
   "name" TEXT,
   "tip_message_hash" TEXT REFERENCES "messages"("hash"),
   "forked_from" TEXT REFERENCES "threads"("id"),
   "datetime_utc" TEXT
);
INSERT INTO "threads" VALUES('01m7xm9jz9fy5rb0cvr5mnj3wq','Why is the sky blue?','b2:f291f12bf856eca5481046f050edeb81',NULL,'2026-11-20 23:22:32.300422+00:00');
INSERT INTO "threads" VALUES('01m7xm9k07n23g8j2rmg146g45','What is this? key sk-abcdefghij…','b2:acc815d73dcd8254eda000905785b160',NULL,'2026-11-20 23:22:32.327335+00:00');
INSERT INTO "threads" VALUES('01m7xm9k0ygnbwc8bnttwvf473','A long novel. Sum up','b2:f974ac4a85478fcbfbd00a9288a3fe09',NULL,'2026-11-20 23:22:32.350126+00:00');
INSERT INTO "threads" VALUES('01m7xm9k1h1jsyen6h8vxrzxsh','Weather in Oslo?','b2:20facdde57f8329eb0ac50ba94fd6e9e',NULL,'2026-11-20 23:22:32.372045+00:00');
CREATE TABLE "tool_calls" (
   "id" INTEGER PRIMARY KEY,
   "response_id" TEXT REFERENCES "responses"("id"),
   "tool_id" INTEGER REFERENCES "tools"("id"),
   "name" TEXT,
   "arguments" TEXT,
   "tool_call_id" TEXT
);
CREATE TABLE "tool_instances" (
   "id" INTEGER PRIMARY KEY,
   "plugin" TEXT,
   "name" TEXT,
   "arguments" TEXT
);
CREATE TABLE "tool_instantiations" (
   "turn_id" TEXT REFERENCES "turns"("id"),
   "tool_call_id" TEXT,
   "instance_id" INTEGER REFERENCES "tool_instances"("id"),
   PRIMARY KEY ("turn_id", "tool_call_id")
);
CREATE TABLE "tool_responses" (
   "tool_id" INTEGER REFERENCES "tools"("id"),
   "response_id" TEXT REFERENCES "responses"("id"),
   PRIMARY KEY ("tool_id", "response_id")
);
CREATE TABLE "tool_results" (
   "id" INTEGER PRIMARY KEY,
   "response_id" TEXT REFERENCES "responses"("id"),
   "tool_id" INTEGER REFERENCES "tools"("id"),
   "name" TEXT,
   "output" TEXT,
   "tool_call_id" TEXT,
   "instance_id" INTEGER REFERENCES "tool_instances"("id")
, "exception" TEXT);
CREATE TABLE "tool_results_attachments" (
   "tool_result_id" INTEGER REFERENCES "tool_results"("id"),
   "attachment_id" TEXT REFERENCES "attachments"("id"),
   "order" INTEGER,
   PRIMARY KEY ("tool_result_id", "attachment_id")
);
CREATE TABLE "tools" (
   "id" INTEGER PRIMARY KEY,
   "hash" TEXT,
   "name" TEXT,
   "description" TEXT,
   "input_schema" TEXT
, "plugin" TEXT);
INSERT INTO "tools" VALUES(1,'001b6898b46537040addddcb4078c7e6fa5de2787c58848b3df88b5720028222','weather','What the weather is.','{"properties": {"city": {"type": "string"}}, "required": ["city"], "type": "object"}',NULL);
CREATE TABLE "turn_fragments" (
   "turn_id" TEXT REFERENCES "turns"("id"),
   "fragment_id" INTEGER REFERENCES "fragments"("id"),
   "order" INTEGER,
   "kind" TEXT,
   PRIMARY KEY ("turn_id", "fragment_id", "kind", "order")
);
INSERT INTO "turn_fragments" VALUES('01m7xm9k0xwzyqsxxaczjxhyrk',1,0,'prompt');
INSERT INTO "turn_fragments" VALUES('01m7xm9k0xwzyqsxxaczjxhyrk',2,0,'system');
CREATE TABLE "turn_search" (
   "id" INTEGER PRIMARY KEY,
   "turn_id" TEXT REFERENCES "turns"("id"),
   "prompt" TEXT,
   "response" TEXT
);
INSERT INTO "turn_search" VALUES(1,'01m7xm9jz9fy5rb0cvr5mnj3wr','Why is the sky blue?','It is cold.');
INSERT INTO "turn_search" VALUES(2,'01m7xm9jzs3mbje4tn0wvr2wsk','And at night?','It is cold.');
INSERT INTO "turn_search" VALUES(3,'01m7xm9k06kfe8f5pw5e3kc6be','What is this? key sk-abcdefghijklmnopqrstuvwx','It is cold.');
INSERT INTO "turn_search" VALUES(4,'01m7xm9k0xwzyqsxxaczjxhyrk','
Sum up','It is cold.');
INSERT INTO "turn_search" VALUES(5,'01m7xm9k1k8a1rfsheadjabxm4','Weather in Oslo?','Looking it up.');
INSERT INTO "turn_search" VALUES(6,'01m7xm9k255r71ferqf5wc722h','','It is cold.');
CREATE TABLE "turn_tools" (
   "turn_id" TEXT REFERENCES "turns"("id"),
   "tool_id" INTEGER REFERENCES "tools"("id"),
   "instance_id" INTEGER REFERENCES "tool_instances"("id"),
   PRIMARY KEY ("turn_id", "tool_id")
);
INSERT INTO "turn_tools" VALUES('01m7xm9k1k8a1rfsheadjabxm4',1,NULL);
INSERT INTO "turn_tools" VALUES('01m7xm9k255r71ferqf5wc722h',1,NULL);
CREATE TABLE "turns" (
   "id" TEXT PRIMARY KEY,
   "thread_id" TEXT REFERENCES "threads"("id"),
   "parent_message_hash" TEXT REFERENCES "messages"("hash"),
   "tip_message_hash" TEXT REFERENCES "messages"("hash"),
   "model" TEXT,
   "resolved_model" TEXT,
   "options_json" TEXT,
   "schema_id" TEXT REFERENCES "schemas"("id"),
   "input_tokens" INTEGER,
   "output_tokens" INTEGER,
   "token_details" TEXT,
   "duration_ms" INTEGER,
   "datetime_utc" TEXT
, "response_json" TEXT);
INSERT INTO "turns" VALUES('01m7xm9jz9fy5rb0cvr5mnj3wr','01m7xm9jz9fy5rb0cvr5mnj3wq','b2:50b142cc136bb69a2f74229a4edcf874','b2:255343ea0b07349cc9baf64063494a21','fake-1','gpt-4o-mini-2024-07-18','{"temperature": 0.5}',NULL,12,3,'{"cached": 4}',0,'2026-11-20T23:22:32.298035+00:00',NULL);
INSERT INTO "turns" VALUES('01m7xm9jzs3mbje4tn0wvr2wsk','01m7xm9jz9fy5rb0cvr5mnj3wq','b2:cb92daa7c2c5ce73ace420088f921df5','b2:f291f12bf856eca5481046f050edeb81','fake-1','gpt-4o-mini-2024-07-18',NULL,NULL,12,3,'{"cached": 4}',0,'2026-11-20T23:22:32.313800+00:00',NULL);
INSERT INTO "turns" VALUES('01m7xm9k06kfe8f5pw5e3kc6be','01m7xm9k07n23g8j2rmg146g45','b2:0975fad6144db1d9dbf39c18ef6deff5','b2:acc815d73dcd8254eda000905785b160','fake-1','gpt-4o-mini-2024-07-18',NULL,NULL,12,3,'{"cached": 4}',0,'2026-11-20T23:22:32.326912+00:00',NULL);
INSERT INTO "turns" VALUES('01m7xm9k0xwzyqsxxaczjxhyrk','01m7xm9k0ygnbwc8bnttwvf473','b2:0698e5e94a9c2fbc24ffa22c7805b08e','b2:f974ac4a85478fcbfbd00a9288a3fe09','fake-1','gpt-4o-mini-2024-07-18',NULL,NULL,12,3,'{"cached": 4}',0,'2026-11-20T23:22:32.349780+00:00',NULL);
INSERT INTO "turns" VALUES('01m7xm9k1k8a1rfsheadjabxm4','01m7xm9k1h1jsyen6h8vxrzxsh','b2:3facfb48fb0470ea6c345b3a9ba29854','b2:9c426d2d3b9774c2e14bec143c23777f','fake-1',NULL,NULL,NULL,12,3,'{"cached": 4}',0,'2026-11-20T23:22:32.371762+00:00',NULL);
INSERT INTO "turns" VALUES('01m7xm9k255r71ferqf5wc722h','01m7xm9k1h1jsyen6h8vxrzxsh','b2:a7e79f8bf5c5f8c8824e3d01a0c07783','b2:20facdde57f8329eb0ac50ba94fd6e9e','fake-1','gpt-4o-mini-2024-07-18',NULL,NULL,12,3,'{"cached": 4}',0,'2026-11-20T23:22:32.389883+00:00',NULL);
CREATE UNIQUE INDEX "idx_fragments_hash"
    ON "fragments" ("hash");
CREATE UNIQUE INDEX "idx_tools_hash"
    ON "tools" ("hash");
CREATE INDEX "idx_messages_parent_hash"
    ON "messages" ("parent_hash");
CREATE UNIQUE INDEX "idx_parts_message_hash_position"
    ON "parts" ("message_hash", "position");
CREATE INDEX "idx_part_fragments_fragment_id"
    ON "part_fragments" ("fragment_id");
CREATE INDEX "idx_turns_thread_id"
    ON "turns" ("thread_id");
CREATE INDEX "idx_turn_fragments_fragment_id"
    ON "turn_fragments" ("fragment_id");
CREATE UNIQUE INDEX "idx_turn_search_turn_id"
    ON "turn_search" ("turn_id");
CREATE VIEW "message_tree" AS with recursive msg as (
  select m.hash, m.parent_hash, m.role, m.rowid as rid,
    replace(coalesce(
      nullif(p.text, ''),
      (select f.content from part_fragments pf
       join fragments f on f.id = pf.fragment_id
       where pf.part_id = p.id
       order by pf."order" limit 1),
      '[' || coalesce(p.type, 'empty') || ']'
    ), char(10), ' ') as text,
    (select group_concat(p2.tool_name, ', ') from parts p2
     where p2.message_hash = m.hash and p2.type = 'tool_result'
       and p2.tool_name is not null) as tools
  from messages m
  left join parts p on p.message_hash = m.hash and p.position = 0
),
tree as (
  select hash, text, tools, 0 as depth,
    printf('%012d', rid) as path, hash as root_hash
  from msg where parent_hash is null
  union all
  select msg.hash, msg.text, msg.tools, t.depth + 1,
    t.path || '/' || printf('%012d', msg.rid),
    t.root_hash
  from msg join tree t on msg.parent_hash = t.hash
),
turn_chain as (
  select t.id as turn_id, t.datetime_utc, m.hash, m.parent_hash
  from turns t join messages m on m.hash = t.tip_message_hash
  union all
  select tc.turn_id, tc.datetime_utc, m.hash, m.parent_hash
  from turn_chain tc join messages m on m.hash = tc.parent_hash
)
select
  t.root_hash,
  strftime('%Y-%m-%d %H:%M:%S',
    (select min(tc.datetime_utc) from turn_chain tc where tc.hash = t.hash)
  ) as datetime,
  replace(hex(zeroblob(t.depth)), '00', '    ') || substr(t.text, 1, 60)
    as message,
  coalesce(t.tools, '') as tools,
  t.hash as message_hash,
  t.path
from tree t
order by t.path;
COMMIT;
