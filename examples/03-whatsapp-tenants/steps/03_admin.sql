INSERT INTO users (id, email, full_name) VALUES (1, 'admin@swiftreplies.ai', 'Admin');

INSERT INTO user_subscriptions (id, user_id, subscription_name, subscription_config, daily_message_limit,
                                monthly_message_limit, contract_start_date)
VALUES (1, 1, 'Unlimited', '{"features":{"all":true},"limits":{"unlimited":true}}', 999999, 999999, '2026-01-01');

INSERT INTO chatbots (id, user_id, name, bot_status) VALUES (1, 1, 'Default', 'online');
