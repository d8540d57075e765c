-- The next user, subscription and chatbot are 2, whoever makes them.
SELECT setval(pg_get_serial_sequence('users', 'id'), (SELECT max(id) FROM users)),
       setval(pg_get_serial_sequence('user_subscriptions', 'id'), (SELECT max(id) FROM user_subscriptions)),
       setval(pg_get_serial_sequence('chatbots', 'id'), (SELECT max(id) FROM chatbots));
