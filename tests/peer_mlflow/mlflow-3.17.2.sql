CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('dc11669786a5');
CREATE TABLE "assessments" (
	assessment_id VARCHAR(50) NOT NULL, 
	trace_id VARCHAR(50) NOT NULL, 
	name VARCHAR(250) NOT NULL, 
	assessment_type VARCHAR(20) NOT NULL, 
	value TEXT NOT NULL, 
	error TEXT, 
	created_timestamp BIGINT NOT NULL, 
	last_updated_timestamp BIGINT NOT NULL, 
	source_type VARCHAR(50) NOT NULL, 
	source_id VARCHAR(250), 
	run_id VARCHAR(32), 
	span_id VARCHAR(50), 
	rationale TEXT, 
	overrides VARCHAR(50), 
	valid BOOLEAN NOT NULL, 
	assessment_metadata TEXT, 
	experiment_id INTEGER, 
	trace_timestamp_ms BIGINT, 
	aggregate_value FLOAT, 
	is_numeric_value BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT assessments_pk PRIMARY KEY (assessment_id), 
	CONSTRAINT fk_assessments_trace_id FOREIGN KEY(trace_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
INSERT INTO "assessments" VALUES('a-f7757f7178c44bfbb726d3b2fb151da1','tr-e5adf256938e4e9ea185ce93ea7e53b8','good','feedback','false',NULL,1795214214816,1795214214816,'CODE','default',NULL,'17024d0fe5c31546','r',NULL,0,'{"k": "v"}',1,1795214214723,0.0,0);
INSERT INTO "assessments" VALUES('a-a9397e54b77d4fe594acbcd635d48b4d','tr-e5adf256938e4e9ea185ce93ea7e53b8','good','feedback','true',NULL,1795214214822,1795214214822,'CODE','default',NULL,'17024d0fe5c31546',NULL,'a-f7757f7178c44bfbb726d3b2fb151da1',1,NULL,1,1795214214723,1.0,0);
INSERT INTO "assessments" VALUES('a-89a0002c27cb4f8fb5e394bfe88a50f5','tr-e5adf256938e4e9ea185ce93ea7e53b8','failed','feedback','null','{"error_code": "CODE", "error_message": "message", "stack_trace": "stack"}',1795214214825,1795214214825,'CODE','default',NULL,NULL,NULL,NULL,1,NULL,1,1795214214723,NULL,0);
INSERT INTO "assessments" VALUES('a-7d7795c881134591a07d95dbc88e069b','tr-e5adf256938e4e9ea185ce93ea7e53b8','answer','expectation','{"a": [1, 2.5]}',NULL,1795214214828,1795214214828,'HUMAN','bob',NULL,NULL,NULL,NULL,1,NULL,1,1795214214723,NULL,0);
CREATE TABLE "experiment_tags" (
	"key" VARCHAR(250) NOT NULL, 
	value TEXT, 
	experiment_id INTEGER NOT NULL, 
	CONSTRAINT experiment_tag_pk PRIMARY KEY ("key", experiment_id), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
INSERT INTO "experiment_tags" VALUES('team','a',1);
CREATE TABLE "experiments" (
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	artifact_location VARCHAR(256), 
	lifecycle_stage VARCHAR(32), 
	creation_time BIGINT, 
	last_update_time BIGINT, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT experiment_pk PRIMARY KEY (experiment_id), 
	CONSTRAINT experiments_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')), 
	CONSTRAINT uq_experiments_workspace_name UNIQUE (workspace, name)
);
INSERT INTO "experiments" VALUES(0,'Default','/mlflow/mlruns/0','active',1795214214644,1795214214644,'default');
INSERT INTO "experiments" VALUES(1,'shop','/mlflow/mlruns/1','active',1795214214649,1795214214649,'default');
INSERT INTO "experiments" VALUES(2,'gone','/mlflow/mlruns/2','deleted',1795214214870,1795214215042,'default');
CREATE TABLE "spans" (
	trace_id VARCHAR(50) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	span_id VARCHAR(50) NOT NULL, 
	parent_span_id VARCHAR(50), 
	name TEXT, 
	type VARCHAR(500), 
	status VARCHAR(50) NOT NULL, 
	start_time_unix_nano BIGINT NOT NULL, 
	end_time_unix_nano BIGINT, 
	duration_ns BIGINT GENERATED ALWAYS AS (end_time_unix_nano - start_time_unix_nano) STORED, 
	content TEXT NOT NULL, 
	input_cost FLOAT, 
	output_cost FLOAT, 
	total_cost FLOAT, 
	model_name VARCHAR(500), 
	model_provider VARCHAR(500), 
	CONSTRAINT spans_pk PRIMARY KEY (trace_id, span_id), 
	CONSTRAINT fk_spans_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CONSTRAINT fk_spans_trace_id FOREIGN KEY(trace_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
INSERT INTO "spans" VALUES('tr-e5adf256938e4e9ea185ce93ea7e53b8',1,'17024d0fe5c31546','71ec26f4b50177a0','llm','CHAT_MODEL','OK',1795214214759402069,1795214214759679911,'{"trace_id": "5a3yVpOOTp6hhc6T6n5TuA==", "span_id": "FwJND+XDFUY=", "parent_span_id": "cewm9LUBd6A=", "name": "llm", "start_time_unix_nano": 1795214214759402069, "end_time_unix_nano": 1795214214759679911, "events": [{"name": "e", "time_unix_nano": 5, "attributes": {"k": "v", "n": 1}}], "status": {"code": "STATUS_CODE_OK", "message": ""}, "attributes": {"mlflow.traceRequestId": "\"tr-e5adf256938e4e9ea185ce93ea7e53b8\"", "mlflow.spanType": "\"CHAT_MODEL\"", "mlflow.chat.tokenUsage": "{\"input_tokens\": 3, \"output_tokens\": 4, \"total_tokens\": 7}", "mlflow.llm.cost": "{\"input_cost\": 0.5, \"output_cost\": 0.25, \"total_cost\": 0.75}", "mlflow.spanLogLevel": "20"}, "links": [{"trace_id": "tr-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "span_id": "bbbbbbbbbbbbbbbb", "attributes": {"why": "x"}}]}',0.5,0.25,0.75,NULL,NULL);
INSERT INTO "spans" VALUES('tr-e5adf256938e4e9ea185ce93ea7e53b8',1,'71ec26f4b50177a0',NULL,'root','CHAIN','OK',1795214214723878647,1795214214781272720,'{"trace_id": "5a3yVpOOTp6hhc6T6n5TuA==", "span_id": "cewm9LUBd6A=", "parent_span_id": null, "name": "root", "start_time_unix_nano": 1795214214723878647, "end_time_unix_nano": 1795214214781272720, "events": [], "status": {"code": "STATUS_CODE_OK", "message": ""}, "attributes": {"mlflow.traceRequestId": "\"tr-e5adf256938e4e9ea185ce93ea7e53b8\"", "mlflow.spanType": "\"CHAIN\"", "a": "[1, {\"b\": null}]", "text": "\"é\"", "mlflow.spanInputs": "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"nan\": [NaN, Infinity]}", "mlflow.spanOutputs": "\"done\"", "mlflow.spanLogLevel": "10"}, "links": []}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "spans" VALUES('tr-b4b3282be57e541cadf1d8a853e4420f',1,'081bd82c48b44603','70ac07caa1b65214','inner','UNKNOWN','ERROR',1795214214831932230,1795214214833754196,'{"trace_id": "tLMoK+V+VByt8dioU+RCDw==", "span_id": "CBvYLEi0RgM=", "parent_span_id": "cKwHyqG2UhQ=", "name": "inner", "start_time_unix_nano": 1795214214831932230, "end_time_unix_nano": 1795214214833754196, "events": [{"name": "exception", "time_unix_nano": 1795214214833555968, "attributes": {"exception.message": "no", "exception.type": "ValueError", "exception.stacktrace": "Traceback (most recent call last):\n  File \"/site-packages/mlflow/tracing/provider.py\", line 306, in with_active_span\n    yield\n  File \"/site-packages/mlflow/tracing/fluent.py\", line 695, in start_span\n    yield mlflow_span\n  File \"/tests/peer_mlflow/importing.py\", line 114, in record\n    raise ValueError(\"no\")\nValueError: no"}}], "status": {"code": "STATUS_CODE_ERROR", "message": "ValueError: no"}, "attributes": {"mlflow.traceRequestId": "\"tr-b4b3282be57e541cadf1d8a853e4420f\"", "mlflow.spanType": "\"UNKNOWN\"", "mlflow.spanLogLevel": "40"}, "links": []}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "spans" VALUES('tr-b4b3282be57e541cadf1d8a853e4420f',1,'70ac07caa1b65214',NULL,'fails','UNKNOWN','ERROR',1795214214831536323,1795214214844959592,'{"trace_id": "tLMoK+V+VByt8dioU+RCDw==", "span_id": "cKwHyqG2UhQ=", "parent_span_id": null, "name": "fails", "start_time_unix_nano": 1795214214831536323, "end_time_unix_nano": 1795214214844959592, "events": [{"name": "exception", "time_unix_nano": 1795214214844795392, "attributes": {"exception.message": "no", "exception.type": "ValueError", "exception.stacktrace": "Traceback (most recent call last):\n  File \"/site-packages/mlflow/tracing/provider.py\", line 306, in with_active_span\n    yield\n  File \"/site-packages/mlflow/tracing/fluent.py\", line 695, in start_span\n    yield mlflow_span\n  File \"/tests/peer_mlflow/importing.py\", line 114, in record\n    raise ValueError(\"no\")\nValueError: no"}}], "status": {"code": "STATUS_CODE_ERROR", "message": "ValueError: no"}, "attributes": {"mlflow.traceRequestId": "\"tr-b4b3282be57e541cadf1d8a853e4420f\"", "mlflow.spanType": "\"UNKNOWN\"", "mlflow.spanLogLevel": "40"}, "links": []}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "spans" VALUES('tr-d1a65307dd883ec5217a7526fbc254aa',2,'bd539cf678a6c425',NULL,'','UNKNOWN','OK',1795214214877095239,1795214214877472443,'{"trace_id": "0aZTB92IPsUhenUm+8JUqg==", "span_id": "vVOc9nimxCU=", "parent_span_id": null, "name": "", "start_time_unix_nano": 1795214214877095239, "end_time_unix_nano": 1795214214877472443, "events": [], "status": {"code": "STATUS_CODE_OK", "message": ""}, "attributes": {"mlflow.traceRequestId": "\"tr-d1a65307dd883ec5217a7526fbc254aa\"", "mlflow.spanType": "\"UNKNOWN\"", "mlflow.spanLogLevel": "10"}, "links": []}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "spans" VALUES('tr-ca47a381052f7e68a69c41b4d148feca',2,'5fc4e83ff5533b7e',NULL,'日本語','UNKNOWN','OK',1795214214930198738,1795214214930660701,'{"trace_id": "ykejgQUvfmimnEG00Uj+yg==", "span_id": "X8ToP/VTO34=", "parent_span_id": null, "name": "日本語", "start_time_unix_nano": 1795214214930198738, "end_time_unix_nano": 1795214214930660701, "events": [], "status": {"code": "STATUS_CODE_OK", "message": ""}, "attributes": {"mlflow.traceRequestId": "\"tr-ca47a381052f7e68a69c41b4d148feca\"", "mlflow.spanType": "\"UNKNOWN\"", "mlflow.spanLogLevel": "10"}, "links": []}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "spans" VALUES('tr-7fa2c2f583a7e0012166eecab3fb1ac2',2,'fcc5f619921c330a',NULL,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx','UNKNOWN','OK',1795214214974682742,1795214214975226341,'{"trace_id": "f6LC9YOn4AEhZu7Ks/sawg==", "span_id": "/MX2GZIcMwo=", "parent_span_id": null, "name": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "start_time_unix_nano": 1795214214974682742, "end_time_unix_nano": 1795214214975226341, "events": [], "status": {"code": "STATUS_CODE_OK", "message": ""}, "attributes": {"mlflow.traceRequestId": "\"tr-7fa2c2f583a7e0012166eecab3fb1ac2\"", "mlflow.spanType": "\"UNKNOWN\"", "mlflow.spanLogLevel": "10"}, "links": []}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "spans" VALUES('tr-d659801d49631472a2f68c7e3c8dcc7c',0,'cd91a7f3610a892f',NULL,'timed','UNKNOWN','OK',1600000000123456789,1600000001123456789,'{"trace_id": "1lmAHUljFHKi9ox+PI3MfA==", "span_id": "zZGn82EKiS8=", "parent_span_id": null, "name": "timed", "start_time_unix_nano": 1600000000123456789, "end_time_unix_nano": 1600000001123456789, "events": [], "status": {"code": "STATUS_CODE_OK", "message": ""}, "attributes": {"mlflow.spanStartTimeNs": "1600000000123456789", "mlflow.traceRequestId": "\"tr-d659801d49631472a2f68c7e3c8dcc7c\"", "mlflow.spanType": "\"UNKNOWN\"", "mlflow.spanLogLevel": "10"}, "links": []}',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE "trace_info" (
	request_id VARCHAR(50) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	timestamp_ms BIGINT NOT NULL, 
	execution_time_ms BIGINT, 
	status VARCHAR(50) NOT NULL, 
	client_request_id VARCHAR(50), 
	request_preview VARCHAR(1000), 
	response_preview VARCHAR(1000), 
	db_payload_generation INTEGER DEFAULT '0' NOT NULL, trace_name VARCHAR(4096), session_id VARCHAR(250), input_tokens BIGINT, output_tokens BIGINT, total_tokens BIGINT, cache_read_input_tokens BIGINT, cache_creation_input_tokens BIGINT, cache_creation_input_tokens_above_1hr BIGINT, input_cost FLOAT, output_cost FLOAT, total_cost FLOAT, 
	CONSTRAINT trace_info_pk PRIMARY KEY (request_id), 
	CONSTRAINT fk_trace_info_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
INSERT INTO "trace_info" VALUES('tr-e5adf256938e4e9ea185ce93ea7e53b8',1,1795214214723,57,'OK','c-1','hi','mine',3,'root','s-1',3,4,7,NULL,NULL,NULL,0.5,0.25,0.75);
INSERT INTO "trace_info" VALUES('tr-b4b3282be57e541cadf1d8a853e4420f',1,1795214214831,13,'ERROR',NULL,NULL,NULL,3,'fails',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "trace_info" VALUES('tr-d1a65307dd883ec5217a7526fbc254aa',2,1795214214877,0,'OK',NULL,NULL,NULL,2,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "trace_info" VALUES('tr-ca47a381052f7e68a69c41b4d148feca',2,1795214214930,0,'OK',NULL,NULL,NULL,2,'日本語',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "trace_info" VALUES('tr-7fa2c2f583a7e0012166eecab3fb1ac2',2,1795214214974,0,'OK',NULL,NULL,NULL,2,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "trace_info" VALUES('tr-d659801d49631472a2f68c7e3c8dcc7c',0,1600000000123,1000,'OK',NULL,NULL,NULL,2,'timed',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE "trace_request_metadata" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000), 
	request_id VARCHAR(50) NOT NULL, 
	CONSTRAINT trace_request_metadata_pk PRIMARY KEY ("key", request_id), 
	CONSTRAINT fk_trace_request_metadata_request_id FOREIGN KEY(request_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
INSERT INTO "trace_request_metadata" VALUES('m','1','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.branch','','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.commit','','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.repoURL','','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.name','/tests/peer_mlflow/importing.py','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.type','LOCAL','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.infoFinalized','true','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.sizeBytes','2423','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.sizeStats','{"total_size_bytes": 2423, "num_spans": 2, "max": 795, "p25": 658, "p50": 704, "p75": 749}','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.user','ada','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_request_metadata" VALUES('mlflow.traceInputs','{"messages": [{"role": "user", "content": "hi"}], "nan": [NaN, Infinity]}','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_request_metadata" VALUES('mlflow.traceOutputs','"done"','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace_schema.version','3','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_request_metadata" VALUES('mlflow.user','root','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.branch','','tr-b4b3282be57e541cadf1d8a853e4420f');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.commit','','tr-b4b3282be57e541cadf1d8a853e4420f');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.repoURL','','tr-b4b3282be57e541cadf1d8a853e4420f');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.name','/tests/peer_mlflow/importing.py','tr-b4b3282be57e541cadf1d8a853e4420f');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.type','LOCAL','tr-b4b3282be57e541cadf1d8a853e4420f');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.infoFinalized','true','tr-b4b3282be57e541cadf1d8a853e4420f');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.sizeBytes','2714','tr-b4b3282be57e541cadf1d8a853e4420f');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.sizeStats','{"total_size_bytes": 2714, "num_spans": 2, "max": 1039, "p25": 1031, "p50": 1034, "p75": 1036}','tr-b4b3282be57e541cadf1d8a853e4420f');
INSERT INTO "trace_request_metadata" VALUES('mlflow.traceInputs','','tr-b4b3282be57e541cadf1d8a853e4420f');
INSERT INTO "trace_request_metadata" VALUES('mlflow.traceOutputs','','tr-b4b3282be57e541cadf1d8a853e4420f');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace_schema.version','3','tr-b4b3282be57e541cadf1d8a853e4420f');
INSERT INTO "trace_request_metadata" VALUES('mlflow.user','root','tr-b4b3282be57e541cadf1d8a853e4420f');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.branch','','tr-d1a65307dd883ec5217a7526fbc254aa');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.commit','','tr-d1a65307dd883ec5217a7526fbc254aa');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.repoURL','','tr-d1a65307dd883ec5217a7526fbc254aa');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.name','/tests/peer_mlflow/importing.py','tr-d1a65307dd883ec5217a7526fbc254aa');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.type','LOCAL','tr-d1a65307dd883ec5217a7526fbc254aa');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.infoFinalized','true','tr-d1a65307dd883ec5217a7526fbc254aa');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.sizeBytes','1053','tr-d1a65307dd883ec5217a7526fbc254aa');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.sizeStats','{"total_size_bytes": 1053, "num_spans": 1, "max": 418, "p25": 418, "p50": 418, "p75": 418}','tr-d1a65307dd883ec5217a7526fbc254aa');
INSERT INTO "trace_request_metadata" VALUES('mlflow.traceInputs','','tr-d1a65307dd883ec5217a7526fbc254aa');
INSERT INTO "trace_request_metadata" VALUES('mlflow.traceOutputs','','tr-d1a65307dd883ec5217a7526fbc254aa');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace_schema.version','3','tr-d1a65307dd883ec5217a7526fbc254aa');
INSERT INTO "trace_request_metadata" VALUES('mlflow.user','root','tr-d1a65307dd883ec5217a7526fbc254aa');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.branch','','tr-ca47a381052f7e68a69c41b4d148feca');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.commit','','tr-ca47a381052f7e68a69c41b4d148feca');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.repoURL','','tr-ca47a381052f7e68a69c41b4d148feca');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.name','/tests/peer_mlflow/importing.py','tr-ca47a381052f7e68a69c41b4d148feca');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.type','LOCAL','tr-ca47a381052f7e68a69c41b4d148feca');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.infoFinalized','true','tr-ca47a381052f7e68a69c41b4d148feca');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.sizeBytes','1089','tr-ca47a381052f7e68a69c41b4d148feca');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.sizeStats','{"total_size_bytes": 1089, "num_spans": 1, "max": 436, "p25": 436, "p50": 436, "p75": 436}','tr-ca47a381052f7e68a69c41b4d148feca');
INSERT INTO "trace_request_metadata" VALUES('mlflow.traceInputs','','tr-ca47a381052f7e68a69c41b4d148feca');
INSERT INTO "trace_request_metadata" VALUES('mlflow.traceOutputs','','tr-ca47a381052f7e68a69c41b4d148feca');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace_schema.version','3','tr-ca47a381052f7e68a69c41b4d148feca');
INSERT INTO "trace_request_metadata" VALUES('mlflow.user','root','tr-ca47a381052f7e68a69c41b4d148feca');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.branch','','tr-7fa2c2f583a7e0012166eecab3fb1ac2');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.commit','','tr-7fa2c2f583a7e0012166eecab3fb1ac2');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.repoURL','','tr-7fa2c2f583a7e0012166eecab3fb1ac2');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.name','/tests/peer_mlflow/importing.py','tr-7fa2c2f583a7e0012166eecab3fb1ac2');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.type','LOCAL','tr-7fa2c2f583a7e0012166eecab3fb1ac2');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.infoFinalized','true','tr-7fa2c2f583a7e0012166eecab3fb1ac2');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.sizeBytes','1653','tr-7fa2c2f583a7e0012166eecab3fb1ac2');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.sizeStats','{"total_size_bytes": 1653, "num_spans": 1, "max": 718, "p25": 718, "p50": 718, "p75": 718}','tr-7fa2c2f583a7e0012166eecab3fb1ac2');
INSERT INTO "trace_request_metadata" VALUES('mlflow.traceInputs','','tr-7fa2c2f583a7e0012166eecab3fb1ac2');
INSERT INTO "trace_request_metadata" VALUES('mlflow.traceOutputs','','tr-7fa2c2f583a7e0012166eecab3fb1ac2');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace_schema.version','3','tr-7fa2c2f583a7e0012166eecab3fb1ac2');
INSERT INTO "trace_request_metadata" VALUES('mlflow.user','root','tr-7fa2c2f583a7e0012166eecab3fb1ac2');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.branch','','tr-d659801d49631472a2f68c7e3c8dcc7c');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.commit','','tr-d659801d49631472a2f68c7e3c8dcc7c');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.git.repoURL','','tr-d659801d49631472a2f68c7e3c8dcc7c');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.name','/tests/peer_mlflow/importing.py','tr-d659801d49631472a2f68c7e3c8dcc7c');
INSERT INTO "trace_request_metadata" VALUES('mlflow.source.type','LOCAL','tr-d659801d49631472a2f68c7e3c8dcc7c');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.infoFinalized','true','tr-d659801d49631472a2f68c7e3c8dcc7c');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.sizeBytes','1115','tr-d659801d49631472a2f68c7e3c8dcc7c');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace.sizeStats','{"total_size_bytes": 1115, "num_spans": 1, "max": 472, "p25": 472, "p50": 472, "p75": 472}','tr-d659801d49631472a2f68c7e3c8dcc7c');
INSERT INTO "trace_request_metadata" VALUES('mlflow.traceInputs','','tr-d659801d49631472a2f68c7e3c8dcc7c');
INSERT INTO "trace_request_metadata" VALUES('mlflow.traceOutputs','','tr-d659801d49631472a2f68c7e3c8dcc7c');
INSERT INTO "trace_request_metadata" VALUES('mlflow.trace_schema.version','3','tr-d659801d49631472a2f68c7e3c8dcc7c');
INSERT INTO "trace_request_metadata" VALUES('mlflow.user','root','tr-d659801d49631472a2f68c7e3c8dcc7c');
CREATE TABLE "trace_tags" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000), 
	request_id VARCHAR(50) NOT NULL, 
	CONSTRAINT trace_tag_pk PRIMARY KEY ("key", request_id), 
	CONSTRAINT fk_trace_tags_request_id FOREIGN KEY(request_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
INSERT INTO "trace_tags" VALUES('mlflow.artifactLocation','/mlflow/mlruns/1/traces/tr-e5adf256938e4e9ea185ce93ea7e53b8/artifacts','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_tags" VALUES('mlflow.trace.spansLocation','TRACKING_STORE','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_tags" VALUES('env','prod','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_tags" VALUES('odd key/','it''s','tr-e5adf256938e4e9ea185ce93ea7e53b8');
INSERT INTO "trace_tags" VALUES('mlflow.artifactLocation','/mlflow/mlruns/1/traces/tr-b4b3282be57e541cadf1d8a853e4420f/artifacts','tr-b4b3282be57e541cadf1d8a853e4420f');
INSERT INTO "trace_tags" VALUES('mlflow.trace.spansLocation','TRACKING_STORE','tr-b4b3282be57e541cadf1d8a853e4420f');
INSERT INTO "trace_tags" VALUES('mlflow.artifactLocation','/mlflow/mlruns/2/traces/tr-d1a65307dd883ec5217a7526fbc254aa/artifacts','tr-d1a65307dd883ec5217a7526fbc254aa');
INSERT INTO "trace_tags" VALUES('mlflow.trace.spansLocation','TRACKING_STORE','tr-d1a65307dd883ec5217a7526fbc254aa');
INSERT INTO "trace_tags" VALUES('mlflow.artifactLocation','/mlflow/mlruns/2/traces/tr-ca47a381052f7e68a69c41b4d148feca/artifacts','tr-ca47a381052f7e68a69c41b4d148feca');
INSERT INTO "trace_tags" VALUES('mlflow.trace.spansLocation','TRACKING_STORE','tr-ca47a381052f7e68a69c41b4d148feca');
INSERT INTO "trace_tags" VALUES('mlflow.artifactLocation','/mlflow/mlruns/2/traces/tr-7fa2c2f583a7e0012166eecab3fb1ac2/artifacts','tr-7fa2c2f583a7e0012166eecab3fb1ac2');
INSERT INTO "trace_tags" VALUES('mlflow.trace.spansLocation','TRACKING_STORE','tr-7fa2c2f583a7e0012166eecab3fb1ac2');
INSERT INTO "trace_tags" VALUES('mlflow.artifactLocation','/mlflow/mlruns/0/traces/tr-d659801d49631472a2f68c7e3c8dcc7c/artifacts','tr-d659801d49631472a2f68c7e3c8dcc7c');
INSERT INTO "trace_tags" VALUES('mlflow.trace.spansLocation','TRACKING_STORE','tr-d659801d49631472a2f68c7e3c8dcc7c');
