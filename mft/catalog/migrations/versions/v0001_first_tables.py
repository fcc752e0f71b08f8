"""Make the first tables.

Revision: 0001
Revises: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_token",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=True),
        sa.Column("revoked_at", sa.Float(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("refreshed_at", sa.Float(), nullable=True),
        sa.Column("scopes", sa.String(), nullable=True),
        sa.Column("case_number", sa.String(), nullable=True),
        sa.Column("customer", sa.String(), nullable=True),
        sa.Column("max_bytes", sa.BigInteger(), nullable=True),
        sa.Column("max_files", sa.Integer(), nullable=True),
        sa.Column("networks", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_access_token_digest")),
    )
    with op.batch_alter_table("access_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_token_login"), ["login"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_token_case_number"), ["case_number"], unique=False)

    op.create_table(
        "account",
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("roles", sa.String(), nullable=False),
        sa.Column("customer", sa.String(), nullable=True),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("regions", sa.String(), nullable=True),
        sa.Column("clearance", sa.Integer(), nullable=False),
        sa.Column("limited", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("login", name=op.f("pk_account")),
    )
    op.create_table(
        "api_replay",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_replay")),
    )
    with op.batch_alter_table("api_replay", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_replay_created_at"), ["created_at"], unique=False)

    op.create_table(
        "audit_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
        sa.UniqueConstraint("chain", "position", name=op.f("uq_audit_event_chain_position")),
        sa.UniqueConstraint("chain", "previous", name=op.f("uq_audit_event_chain_previous")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_event_hash")),
    )
    op.create_table(
        "audit_head",
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "case_record",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("home_region", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("classification", sa.String(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("placement", sa.String(), nullable=True),
        sa.Column("upload_root", sa.Integer(), nullable=True),
        sa.Column("download_root", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("closed_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_record")),
        sa.UniqueConstraint("number", name=op.f("uq_case_record_number")),
        sa.UniqueConstraint("scope", name=op.f("uq_case_record_scope")),
    )
    with op.batch_alter_table("case_record", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_case_record_customer"), ["customer"], unique=False)

    op.create_table(
        "installation",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_installation")),
    )
    op.create_table(
        "object_fault",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("flaw", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("found_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("subject", "region", "flaw", name=op.f("pk_object_fault")),
    )
    with op.batch_alter_table("object_fault", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_object_fault_ended_at"), ["ended_at"], unique=False)

    op.create_table(
        "registry_customer",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("likeness", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_customer")),
        sa.UniqueConstraint("likeness", name=op.f("uq_registry_customer_likeness")),
    )
    op.create_table(
        "registry_case",
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("likeness", sa.String(), nullable=False),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("traits", sa.String(), nullable=False),
        sa.Column("opened_at", sa.Float(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["customer"], ["registry_customer.id"], name=op.f("fk_registry_case_customer")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_registry_case")),
        sa.UniqueConstraint("likeness", name=op.f("uq_registry_case_likeness")),
    )
    with op.batch_alter_table("registry_case", schema=None) as batch_op:
        batch_op.create_index("ix_registry_case_customer", ["customer", "number"], unique=False)
        batch_op.create_index("ix_registry_case_customer_state", ["customer", "state", "number"], unique=False)
        batch_op.create_index("ix_registry_case_state", ["state", "number"], unique=False)

    op.create_table(
        "landing_key",
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("destroyed_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("region", "day", name=op.f("pk_landing_key")),
    )
    op.create_table(
        "login_failure",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("window_started", sa.Float(), nullable=False),
        sa.Column("locked_until", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_login_failure")),
    )
    op.create_table(
        "revocation",
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_revocation")),
    )
    op.create_table(
        "account_grant",
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("case_number", sa.String(), nullable=False),
        sa.Column("clearance", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["login"], ["account.login"], name=op.f("fk_account_grant_login")),
        sa.PrimaryKeyConstraint("login", "customer", "case_number", name=op.f("pk_account_grant")),
    )
    op.create_table(
        "account_key",
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["login"], ["account.login"], name=op.f("fk_account_key_login")),
        sa.PrimaryKeyConstraint("fingerprint", "login", name=op.f("pk_account_key")),
    )
    op.create_table(
        "case_key",
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("destroyed_at", sa.Float(), nullable=True),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_record.id"], name=op.f("fk_case_key_case_id")),
        sa.PrimaryKeyConstraint("case_id", "region", name=op.f("pk_case_key")),
    )
    op.create_table(
        "recipient",
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("registered_by", sa.String(), nullable=False),
        sa.Column("registered_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("customer", name=op.f("pk_recipient")),
    )
    op.create_table(
        "pseudonym_book",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=True),
        sa.Column("customer", sa.String(), nullable=True),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("names", sa.LargeBinary(), nullable=True),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_record.id"], name=op.f("fk_pseudonym_book_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pseudonym_book")),
        sa.UniqueConstraint("case_id", name=op.f("uq_pseudonym_book_case_id")),
        sa.UniqueConstraint("customer", "region", name=op.f("uq_pseudonym_book_customer_region")),
    )
    op.create_table(
        "node",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("shown_name", sa.String(), nullable=True),
        sa.Column("is_directory", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("hidden_at", sa.Float(), nullable=True),
        sa.Column("head_upload", sa.String(), nullable=True),
        sa.Column("shown_size", sa.BigInteger(), nullable=True),
        sa.Column("shown_at", sa.Float(), nullable=True),
        sa.Column("versions", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_record.id"], name=op.f("fk_node_case_id")),
        sa.ForeignKeyConstraint(["parent_id"], ["node.id"], name=op.f("fk_node_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_node")),
        sa.UniqueConstraint("parent_id", "name", name=op.f("uq_node_parent_id_name")),
        sa.UniqueConstraint("parent_id", "shown_name", name=op.f("uq_node_parent_id_shown_name")),
    )
    with op.batch_alter_table("node", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_node_case_id"), ["case_id"], unique=False)
        batch_op.create_index(
            "ix_node_unshown",
            ["head_upload", "is_directory"],
            unique=False,
            sqlite_where=sa.text("shown_name IS NULL"),
        )

    op.create_table(
        "upload",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("protocol", sa.String(), nullable=False),
        sa.Column("peer", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("copies", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("landing_id", sa.String(), nullable=False),
        sa.Column("landing_day", sa.String(), nullable=False),
        sa.Column("landing_envelope", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("announced", sa.BigInteger(), nullable=True),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("prefix", sa.BigInteger(), nullable=True),
        sa.Column("part", sa.Boolean(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("modified", sa.Float(), nullable=True),
        sa.Column("object_key", sa.String(), nullable=True),
        sa.Column("scrubbed_size", sa.BigInteger(), nullable=True),
        sa.Column("scrubbed_sha256", sa.String(), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("shown_path", sa.Text(), nullable=True),
        sa.Column("landing_gone_at", sa.Float(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("landed_at", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["case_record.id"], name=op.f("fk_upload_case_id")),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name=op.f("fk_upload_node_id")),
        sa.ForeignKeyConstraint(["parent_id"], ["node.id"], name=op.f("fk_upload_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    with op.batch_alter_table("upload", schema=None) as batch_op:
        batch_op.create_index("ix_upload_landing_id", ["landing_id"], unique=False)
        batch_op.create_index("ix_upload_login", ["login", "created_at", "id"], unique=False)
        batch_op.create_index("ix_upload_node", ["node_id", "version"], unique=False)
        batch_op.create_index("ix_upload_partial", ["case_id", "login", "parent_id", "name", "state"], unique=False)
        batch_op.create_index("ix_upload_quota", ["case_id", "state", "size", "reserved", "part"], unique=False)
        batch_op.create_index("ix_upload_state", ["state", "updated_at"], unique=False)

    op.create_table(
        "upload_resource",
        sa.Column("upload_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("dialect", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("described", sa.Text(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.Column("parts", sa.Text(), nullable=True),
        sa.Column("joined_into", sa.String(), nullable=True),
        sa.Column("unverified_from", sa.BigInteger(), nullable=True),
        sa.Column("landed_as", sa.String(), nullable=True),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_upload_resource_upload_id")),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("pk_upload_resource")),
    )
    op.create_table(
        "own_version",
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("upload_id", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name=op.f("fk_own_version_node_id")),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_own_version_upload_id")),
        sa.PrimaryKeyConstraint("node_id", "login", name=op.f("pk_own_version")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "receipt",
        sa.Column("upload_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_receipt_upload_id")),
        sa.PrimaryKeyConstraint("upload_id", "kind", name=op.f("pk_receipt")),
    )
    op.create_table(
        "unfiled_deposit",
        sa.Column("upload_id", sa.String(), nullable=False),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("kept_until", sa.Float(), nullable=True),
        sa.Column("assigned_at", sa.Float(), nullable=True),
        sa.Column("assigned_by", sa.String(), nullable=True),
        sa.Column("assigned_to", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_unfiled_deposit_upload_id")),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("pk_unfiled_deposit")),
    )
    with op.batch_alter_table("unfiled_deposit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_unfiled_deposit_customer"), ["customer"], unique=False)
        batch_op.create_index(batch_op.f("ix_unfiled_deposit_kept_until"), ["kept_until"], unique=False)

    op.create_table(
        "release",
        sa.Column("upload_id", sa.String(), nullable=False),
        sa.Column("wish", sa.String(), nullable=False),
        sa.Column("voters", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("decided_at", sa.Float(), nullable=False),
        sa.Column("done_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_release_upload_id")),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("pk_release")),
    )
    with op.batch_alter_table("release", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_release_done_at"), ["done_at"], unique=False)

    op.create_table(
        "release_vote",
        sa.Column("upload_id", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("wish", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_release_vote_upload_id")),
        sa.PrimaryKeyConstraint("upload_id", "login", name=op.f("pk_release_vote")),
    )
    op.create_table(
        "stored_body",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("upload_id", sa.String(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("stored_size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("region", sa.String(), nullable=True),
        sa.Column("sealed_sha256", sa.String(), nullable=True),
        sa.Column("book_id", sa.Integer(), nullable=True),
        sa.Column("taught", sa.LargeBinary(), nullable=True),
        sa.Column("reverse_map", sa.LargeBinary(), nullable=True),
        sa.Column("replaces", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["book_id"], ["pseudonym_book.id"], name=op.f("fk_stored_body_book_id")),
        sa.ForeignKeyConstraint(["case_id"], ["case_record.id"], name=op.f("fk_stored_body_case_id")),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_stored_body_upload_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_stored_body")),
    )
    with op.batch_alter_table("stored_body", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stored_body_case_id"), ["case_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_stored_body_upload_id"), ["upload_id"], unique=False)

    op.create_table(
        "rescan",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("ordered_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["case_record.id"], name=op.f("fk_rescan_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rescan")),
    )
    with op.batch_alter_table("rescan", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rescan_case_id"), ["case_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_rescan_finished_at"), ["finished_at"], unique=False)

    op.create_table(
        "rescan_file",
        sa.Column("rescan_id", sa.String(), nullable=False),
        sa.Column("upload_id", sa.String(), nullable=False),
        sa.Column("object_key", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("removed", sa.Text(), nullable=True),
        sa.Column("told", sa.Text(), nullable=True),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["rescan_id"], ["rescan.id"], name=op.f("fk_rescan_file_rescan_id")),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_rescan_file_upload_id")),
        sa.PrimaryKeyConstraint("rescan_id", "upload_id", name=op.f("pk_rescan_file")),
    )
    with op.batch_alter_table("rescan_file", schema=None) as batch_op:
        batch_op.create_index("ix_rescan_file_waiting", ["state", "due_at"], unique=False)

    op.create_table(
        "archive_password",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("upload_id", sa.String(), nullable=True),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_record.id"], name=op.f("fk_archive_password_case_id")),
        sa.ForeignKeyConstraint(["parent_id"], ["node.id"], name=op.f("fk_archive_password_parent_id")),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_archive_password_upload_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archive_password")),
    )
    with op.batch_alter_table("archive_password", schema=None) as batch_op:
        batch_op.create_index("ix_archive_password_place", ["parent_id", "name", "login"], unique=False)
        batch_op.create_index(batch_op.f("ix_archive_password_upload_id"), ["upload_id"], unique=False)

    op.create_table(
        "write_lock",
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("exclusive", sa.Boolean(), nullable=False),
        sa.Column("deep", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_record.id"], name=op.f("fk_write_lock_case_id")),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_write_lock")),
    )
    with op.batch_alter_table("write_lock", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_write_lock_case_id"), ["case_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_write_lock_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_write_lock_login"), ["login"], unique=False)
        batch_op.create_index(batch_op.f("ix_write_lock_place"), ["place"], unique=False)

    op.create_table(
        "node_property",
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name=op.f("fk_node_property_node_id")),
        sa.PrimaryKeyConstraint("node_id", "name", name=op.f("pk_node_property")),
    )
    op.create_table(
        "replica",
        sa.Column("object_key", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("queued_at", sa.Float(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.Column("verified_at", sa.Float(), nullable=True),
        sa.Column("withdrawn_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["object_key"], ["stored_body.key"], name=op.f("fk_replica_object_key")),
        sa.PrimaryKeyConstraint("object_key", "region", name=op.f("pk_replica")),
    )
    with op.batch_alter_table("replica", schema=None) as batch_op:
        batch_op.create_index("ix_replica_state", ["state", "due_at"], unique=False)

    op.create_table(
        "landing_move",
        sa.Column("landing_id", sa.String(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=True),
        sa.Column("left_in", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("queued_at", sa.Float(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_record.id"], name=op.f("fk_landing_move_case_id")),
        sa.PrimaryKeyConstraint("landing_id", name=op.f("pk_landing_move")),
    )
    with op.batch_alter_table("landing_move", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_landing_move_case_id"), ["case_id"], unique=False)
        batch_op.create_index("ix_landing_move_due_at", ["due_at"], unique=False)

    op.create_table(
        "webhook_endpoint",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("events", sa.String(), nullable=False),
        sa.Column("customers", sa.String(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("previous_until", sa.Float(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("rest_until", sa.Float(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_webhook_endpoint")),
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["endpoint"], ["webhook_endpoint.name"], name=op.f("fk_webhook_delivery_endpoint")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_delivery")),
        sa.UniqueConstraint("endpoint", "event_id", name=op.f("uq_webhook_delivery_endpoint_event_id")),
    )
    with op.batch_alter_table("webhook_delivery", schema=None) as batch_op:
        batch_op.create_index("ix_webhook_delivery_due", ["state", "due_at"], unique=False)
        batch_op.create_index("ix_webhook_delivery_stream", ["endpoint", "stream", "state", "id"], unique=False)

    op.create_table(
        "webhook_receipt",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_receipt")),
    )
    with op.batch_alter_table("webhook_receipt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_webhook_receipt_received_at"), ["received_at"], unique=False)

    op.create_table(
        "legal_hold",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", sa.Float(), nullable=False),
        sa.Column("released_by", sa.String(), nullable=True),
        sa.Column("released_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_hold")),
    )
    with op.batch_alter_table("legal_hold", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_legal_hold_number"), ["number"], unique=False)

    op.create_table(
        "glass_request",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("customer", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("used_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_glass_request")),
    )
    op.create_table(
        "glass_approval",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["glass_request.id"], name=op.f("fk_glass_approval_request_id")),
        sa.PrimaryKeyConstraint("request_id", "login", name=op.f("pk_glass_approval")),
    )
    op.create_table(
        "destroyed_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_destroyed_key")),
        sa.UniqueConstraint("region", "kind", "name", name=op.f("uq_destroyed_key_region_kind_name")),
    )
    op.create_table(
        "key_rotation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("started_by", sa.String(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("looked_at", sa.BigInteger(), nullable=False),
        sa.Column("rewrapped", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_rotation")),
    )
    with op.batch_alter_table("key_rotation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_key_rotation_region"), ["region"], unique=False)

    op.create_table(
        "destruction",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["case_record.id"], name=op.f("fk_destruction_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_destruction")),
        sa.UniqueConstraint("case_id", name=op.f("uq_destruction_case_id")),
    )
    with op.batch_alter_table("destruction", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_destruction_number"), ["number"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("destruction", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_destruction_number"))

    with op.batch_alter_table("key_rotation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_key_rotation_region"))

    op.drop_table("key_rotation")
    op.drop_table("destroyed_key")
    op.drop_table("glass_approval")
    op.drop_table("glass_request")
    op.drop_table("destruction")
    with op.batch_alter_table("legal_hold", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_legal_hold_number"))

    op.drop_table("legal_hold")
    with op.batch_alter_table("webhook_receipt", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_webhook_receipt_received_at"))

    op.drop_table("webhook_receipt")
    with op.batch_alter_table("webhook_delivery", schema=None) as batch_op:
        batch_op.drop_index("ix_webhook_delivery_stream")
        batch_op.drop_index("ix_webhook_delivery_due")

    op.drop_table("webhook_delivery")
    op.drop_table("webhook_endpoint")
    with op.batch_alter_table("landing_move", schema=None) as batch_op:
        batch_op.drop_index("ix_landing_move_due_at")
        batch_op.drop_index(batch_op.f("ix_landing_move_case_id"))

    op.drop_table("landing_move")
    with op.batch_alter_table("replica", schema=None) as batch_op:
        batch_op.drop_index("ix_replica_state")

    op.drop_table("replica")
    with op.batch_alter_table("archive_password", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_archive_password_upload_id"))
        batch_op.drop_index("ix_archive_password_place")

    op.drop_table("archive_password")
    with op.batch_alter_table("rescan_file", schema=None) as batch_op:
        batch_op.drop_index("ix_rescan_file_waiting")

    op.drop_table("rescan_file")
    with op.batch_alter_table("rescan", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rescan_finished_at"))
        batch_op.drop_index(batch_op.f("ix_rescan_case_id"))

    op.drop_table("rescan")
    op.drop_table("node_property")
    with op.batch_alter_table("write_lock", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_write_lock_place"))
        batch_op.drop_index(batch_op.f("ix_write_lock_login"))
        batch_op.drop_index(batch_op.f("ix_write_lock_expires_at"))
        batch_op.drop_index(batch_op.f("ix_write_lock_case_id"))

    op.drop_table("write_lock")
    with op.batch_alter_table("stored_body", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_stored_body_upload_id"))
        batch_op.drop_index(batch_op.f("ix_stored_body_case_id"))

    op.drop_table("stored_body")
    with op.batch_alter_table("unfiled_deposit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_unfiled_deposit_kept_until"))
        batch_op.drop_index(batch_op.f("ix_unfiled_deposit_customer"))

    op.drop_table("unfiled_deposit")
    op.drop_table("release_vote")
    with op.batch_alter_table("release", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_release_done_at"))

    op.drop_table("release")
    op.drop_table("receipt")
    op.drop_table("own_version")
    op.drop_table("upload_resource")
    with op.batch_alter_table("upload", schema=None) as batch_op:
        batch_op.drop_index("ix_upload_state")
        batch_op.drop_index("ix_upload_quota")
        batch_op.drop_index("ix_upload_partial")
        batch_op.drop_index("ix_upload_node")
        batch_op.drop_index("ix_upload_login")
        batch_op.drop_index("ix_upload_landing_id")

    op.drop_table("upload")
    with op.batch_alter_table("node", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_node_unshown",
            sqlite_where=sa.text("shown_name IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_node_case_id"))

    op.drop_table("node")
    op.drop_table("pseudonym_book")
    op.drop_table("recipient")
    op.drop_table("case_key")
    op.drop_table("account_key")
    op.drop_table("account_grant")
    op.drop_table("revocation")
    op.drop_table("login_failure")
    with op.batch_alter_table("registry_case", schema=None) as batch_op:
        batch_op.drop_index("ix_registry_case_state")
        batch_op.drop_index("ix_registry_case_customer_state")
        batch_op.drop_index("ix_registry_case_customer")

    op.drop_table("registry_case")
    with op.batch_alter_table("object_fault", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_object_fault_ended_at"))

    op.drop_table("object_fault")
    op.drop_table("registry_customer")
    op.drop_table("landing_key")
    op.drop_table("installation")
    with op.batch_alter_table("case_record", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_case_record_customer"))

    op.drop_table("case_record")
    op.drop_table("audit_head")
    op.drop_table("audit_event")
    with op.batch_alter_table("api_replay", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_replay_created_at"))

    op.drop_table("api_replay")
    op.drop_table("account")
    with op.batch_alter_table("access_token", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_token_case_number"))
        batch_op.drop_index(batch_op.f("ix_access_token_login"))

    op.drop_table("access_token")
