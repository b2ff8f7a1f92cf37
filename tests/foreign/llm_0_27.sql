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
INSERT INTO "conversations" VALUES('01m7xm9n39nrnr4tjfsf4f6wbv','Why is the sky blue?','fake-1');
INSERT INTO "conversations" VALUES('01m7xm9n4sh1bket5qej9ag3jt','What is this? key sk-abcdefghij…','fake-1');
INSERT INTO "conversations" VALUES('01m7xm9n8h84y0twb1p7j9h1np','A long novel. Sum up','fake-1');
INSERT INTO "conversations" VALUES('01m7xm9nc5y78vjs29fhsxkdxh','Weather in Oslo?','fake-1');
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
INSERT INTO "fragments" VALUES(1,'67a77ec4f8605f02d930b7861b459d1097a4a24ecb4a4670ba437e7cf2af7466','A long novel.','2026-11-20 23:22:34','novel.txt');
INSERT INTO "fragments" VALUES(2,'0c9813ff2d40dea4413f4a14aafa815825efcc069f1d576d1fa0d75431b229fb','In Norwegian.','2026-11-20 23:22:34','-');
CREATE TABLE "prompt_attachments" (
   "response_id" TEXT REFERENCES "responses"("id"),
   "attachment_id" TEXT REFERENCES "attachments"("id"),
   "order" INTEGER,
   PRIMARY KEY ("response_id", "attachment_id")
);
INSERT INTO "prompt_attachments" VALUES('01m7xm9n4sh1bket5qej9ag3js','71fde3856a298a052c6edb5155638d8422114e55bf0e28374d90dea8be99ef6c',0);
INSERT INTO "prompt_attachments" VALUES('01m7xm9n4sh1bket5qej9ag3js','504544927686af9d2bd27efc304316cd81f8d0471fbd4791c3e9225b46a8bc90',1);
CREATE TABLE "prompt_fragments" (
   "response_id" TEXT REFERENCES "responses"("id"),
   "fragment_id" INTEGER REFERENCES "fragments"("id"),
   "order" INTEGER,
   PRIMARY KEY ("response_id", "fragment_id", "order")
);
INSERT INTO "prompt_fragments" VALUES('01m7xm9n8h84y0twb1p7j9h1nn',1,0);
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
, "resolved_model" TEXT);
INSERT INTO "responses" VALUES('01m7xm9n39nrnr4tjfsf4f6wbw','fake-1','Why is the sky blue?','Be short.',NULL,'{"temperature": 0.5}','It is cold.',NULL,'01m7xm9n39nrnr4tjfsf4f6wbv',0,'2026-11-20T23:22:34.473875+00:00',12,3,'{"cached": 4}',NULL,'gpt-4o-mini-2024-07-18');
INSERT INTO "responses" VALUES('01m7xm9n45kwrev4136zkfn920','fake-1','And at night?','Be short.',NULL,'{}','It is cold.',NULL,'01m7xm9n39nrnr4tjfsf4f6wbv',0,'2026-11-20T23:22:34.501776+00:00',12,3,'{"cached": 4}',NULL,'gpt-4o-mini-2024-07-18');
INSERT INTO "responses" VALUES('01m7xm9n4sh1bket5qej9ag3js','fake-1','What is this? key sk-abcdefghijklmnopqrstuvwx',NULL,NULL,'{}','It is cold.',NULL,'01m7xm9n4sh1bket5qej9ag3jt',0,'2026-11-20T23:22:34.521830+00:00',12,3,'{"cached": 4}',NULL,'gpt-4o-mini-2024-07-18');
INSERT INTO "responses" VALUES('01m7xm9n8h84y0twb1p7j9h1nn','fake-1','Sum up',NULL,NULL,'{}','It is cold.',NULL,'01m7xm9n8h84y0twb1p7j9h1np',0,'2026-11-20T23:22:34.641867+00:00',12,3,'{"cached": 4}',NULL,'gpt-4o-mini-2024-07-18');
INSERT INTO "responses" VALUES('01m7xm9nc76aex227vjqpw1s14','fake-1','Weather in Oslo?',NULL,NULL,'{}','Looking it up.',NULL,'01m7xm9nc5y78vjs29fhsxkdxh',0,'2026-11-20T23:22:34.759556+00:00',12,3,'{"cached": 4}',NULL,NULL);
INSERT INTO "responses" VALUES('01m7xm9nf54f15xs1dn0xqxw1g','fake-1','',NULL,NULL,'{}','It is cold.',NULL,'01m7xm9nc5y78vjs29fhsxkdxh',0,'2026-11-20T23:22:34.853754+00:00',12,3,'{"cached": 4}',NULL,'gpt-4o-mini-2024-07-18');
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
INSERT INTO "system_fragments" VALUES('01m7xm9n8h84y0twb1p7j9h1nn',2,0);
CREATE TABLE "tool_calls" (
   "id" INTEGER PRIMARY KEY,
   "response_id" TEXT REFERENCES "responses"("id"),
   "tool_id" INTEGER REFERENCES "tools"("id"),
   "name" TEXT,
   "arguments" TEXT,
   "tool_call_id" TEXT
);
INSERT INTO "tool_calls" VALUES(1,'01m7xm9nc76aex227vjqpw1s14',1,'weather','{"city": "Oslo"}','call-1');
CREATE TABLE "tool_instances" (
   "id" INTEGER PRIMARY KEY,
   "plugin" TEXT,
   "name" TEXT,
   "arguments" TEXT
);
CREATE TABLE "tool_responses" (
   "tool_id" INTEGER REFERENCES "tools"("id"),
   "response_id" TEXT REFERENCES "responses"("id"),
   PRIMARY KEY ("tool_id", "response_id")
);
INSERT INTO "tool_responses" VALUES(1,'01m7xm9nc76aex227vjqpw1s14');
INSERT INTO "tool_responses" VALUES(1,'01m7xm9nf54f15xs1dn0xqxw1g');
CREATE TABLE "tool_results" (
   "id" INTEGER PRIMARY KEY,
   "response_id" TEXT REFERENCES "responses"("id"),
   "tool_id" INTEGER REFERENCES "tools"("id"),
   "name" TEXT,
   "output" TEXT,
   "tool_call_id" TEXT,
   "instance_id" INTEGER REFERENCES "tool_instances"("id")
, "exception" TEXT);
INSERT INTO "tool_results" VALUES(1,'01m7xm9nf54f15xs1dn0xqxw1g',1,'weather','-3 in Oslo','call-1',NULL,NULL);
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
CREATE UNIQUE INDEX "idx_fragments_hash"
    ON "fragments" ("hash");
CREATE UNIQUE INDEX "idx_tools_hash"
    ON "tools" ("hash");
COMMIT;
